/* tests/unit/test_contract.c - convolutions and products of many shapes, compiled and
 * interpreted.
 *
 * A convolution stands between two others, so that its input and its result are stored with
 * channels innermost, as inside a network; weights are constants, so that they are packed
 * ahead. */
#include "api/execute.h"
#include "ir/op.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct conv {
    int64_t batch, channels, height, width, columns, kernel, stride, pad, dilation, group;
} conv;

static float noise(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U;
    return (float)(*state >> 8) / (float)(1U << 23) - 1.0F;
}

static gml_value *weights(gml_module *module, uint32_t *state, int rank, const gml_dim *dims)
{
    int64_t count = 1;
    for (int d = 0; d < rank; d++)
        count *= dims[d];
    float *data = gml_new_array(&module->arena, float, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        data[i] = noise(state) / 4;
    gml_tensor *tensor = gml_new(&module->arena, gml_tensor);
    *tensor = (gml_tensor){.dtype = GML_F32, .rank = rank, .data = data};
    memcpy(tensor->dims, dims, (size_t)rank * sizeof *dims);
    return gml_graph_constant(module->main, NULL, tensor, (gml_loc){0});
}

static gml_value *add_conv(gml_build *b, uint32_t *state, gml_value *x, const conv *c)
{
    gml_module *module = b->graph->module;
    gml_dim dims[4] = {c->columns, c->channels / c->group, c->kernel, c->kernel};
    gml_value *operands[3] = {x, weights(module, state, 4, dims),
                              weights(module, state, 1, dims)};
    int64_t *ints = gml_new_array(&module->arena, int64_t, 8);
    for (int i = 0; i < 8; i++)
        ints[i] = i < 4 ? c->pad : (i < 6 ? c->stride : c->dilation);
    gml_attr attrs[4] = {gml_attr_ints("dilations", ints + 6, 2),
                         gml_attr_int("group", c->group), gml_attr_ints("pads", ints, 4),
                         gml_attr_ints("strides", ints + 4, 2)};
    gml_value *y = gml_build_op(b, &gml_op_conv, operands, 3, attrs, 4);
    return gml_build_unary(b, &gml_op_relu, y);
}

/* x -> 1 x 1 -> the convolution -> + residual when shapes agree -> 1 x 1 -> y */
static gml_module *make_convs(const conv *c)
{
    gml_module *module = gml_module_create(NULL);
    uint32_t state = 1;
    gml_arena *arena = &module->arena;
    gml_dim dims[4] = {c->batch, c->channels, c->height, c->width};
    module->main = gml_graph_create(module, "main", NULL);
    gml_value *x =
        gml_graph_add_param(module->main, "x", gml_type_tensor(arena, GML_F32, 4, dims));
    gml_build b = {module->main, NULL, {0}, NULL, GML_OK};
    conv first = {.channels = c->channels,
                  .columns = c->channels,
                  .kernel = 1,
                  .stride = 1,
                  .dilation = 1,
                  .group = 1};
    conv last = {.channels = c->columns,
                 .columns = 5,
                 .kernel = 1,
                 .stride = 1,
                 .dilation = 1,
                 .group = 1};
    gml_value *a = add_conv(&b, &state, x, &first);
    gml_value *y = add_conv(&b, &state, a, c);
    if (y->type.dims[1] == a->type.dims[1] && y->type.dims[2] == a->type.dims[2] &&
        y->type.dims[3] == a->type.dims[3])
        y = gml_build_binary(&b, &gml_op_add, y, a);
    gml_graph_add_result(module->main, add_conv(&b, &state, y, &last), "y");
    assert_int_equal(b.status, GML_OK);
    return module;
}

static void run(const conv *c, gml_device_kind device, gml_rvalue *out)
{
    gml_diags diags;
    gml_arena arena;
    gml_dim dims[4] = {c->batch, c->channels, c->height, c->width};
    gml_rvalue x = {0};
    uint32_t state = 7;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    assert_int_equal(gml_rvalue_alloc(&x, GML_F32, 4, dims), GML_OK);
    float *data = x.tensor.data;
    for (int64_t i = 0; i < dims[0] * dims[1] * dims[2] * dims[3]; i++)
        data[i] = noise(&state);
    gml_execute_options options = {.device = device, .n_threads = 2, .verify = true};
    assert_int_equal(gml_execute(make_convs(c), &x, out, &options, &diags), GML_OK);
    gml_rvalue_reset(&x);
    gml_arena_reset(&arena);
}

static double worst(const conv *c)
{
    gml_rvalue compiled = {0};
    gml_rvalue interpreted = {0};
    run(c, GML_DEVICE_CPU, &compiled);
    run(c, GML_DEVICE_REF, &interpreted);
    int64_t count = 1;
    for (int d = 0; d < interpreted.tensor.rank; d++) {
        assert_int_equal(compiled.tensor.dims[d], interpreted.tensor.dims[d]);
        count *= interpreted.tensor.dims[d];
    }
    const float *got = compiled.tensor.data;
    const float *want = interpreted.tensor.data;
    double error = 0;
    double scale = 0;
    for (int64_t i = 0; i < count; i++) {
        double off = fabs((double)got[i] - (double)want[i]);
        error = !(off <= error) ? off : error; /* NaN counts */
        scale = fmax(scale, fabs((double)want[i]));
    }
    gml_rvalue_reset(&compiled);
    gml_rvalue_reset(&interpreted);
    assert_true(scale > 0);
    return error / scale;
}

static void check_all(const conv *table, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double error = worst(&table[i]);
        if (!(error < 1e-5))
            print_message("row %zu: error %g of the largest element\n", i, error);
        assert_true(error < 1e-5);
    }
}

#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Winograd's form: even and odd sizes, units of one and several tile rows, phases (channels *
 * columns large), columns that do not fill a panel. */
static void three_by_three(void **state)
{
    (void)state;
    static const conv table[] = {
        {1, 16, 16, 16, 16, 3, 1, 1, 1, 1}, {2, 16, 32, 8, 40, 3, 1, 1, 1, 1},
        {1, 32, 13, 16, 24, 3, 1, 1, 1, 1}, {1, 24, 16, 13, 33, 3, 1, 1, 1, 1},
        {2, 16, 13, 11, 16, 3, 1, 1, 1, 1}, {1, 16, 18, 18, 20, 3, 1, 0, 1, 1},
        {1, 20, 17, 19, 17, 3, 1, 0, 1, 1}, {1, 136, 8, 8, 128, 3, 1, 1, 1, 1},
        {1, 160, 9, 7, 128, 3, 1, 1, 1, 1}, {1, 16, 56, 56, 16, 3, 1, 2, 1, 1},
    };
    check_all(table, COUNT(table));
}

/* Positions: strides, dilations, short rows (steps of whole lines), bands, few columns. */
static void windows(void **state)
{
    (void)state;
    static const conv table[] = {
        {1, 8, 40, 33, 9, 3, 1, 1, 1, 1},   {2, 3, 37, 41, 20, 5, 2, 2, 1, 1},
        {1, 12, 7, 7, 40, 3, 1, 1, 1, 1},   {2, 24, 9, 9, 33, 3, 2, 1, 1, 1},
        {1, 16, 20, 20, 24, 3, 1, 2, 2, 1}, {1, 4, 64, 30, 70, 3, 1, 1, 1, 1},
        {3, 10, 6, 5, 12, 2, 1, 0, 1, 1},   {1, 3, 50, 50, 6, 7, 2, 3, 1, 1},
        {1, 6, 33, 5, 18, 4, 3, 1, 1, 1},   {1, 520, 5, 6, 16, 3, 1, 1, 1, 1},
        {1, 96, 56, 30, 40, 3, 2, 1, 1, 1}, {1, 60, 28, 22, 33, 5, 1, 2, 1, 1},
    };
    check_all(table, COUNT(table));
}

static void pointwise_and_groups(void **state)
{
    (void)state;
    static const conv table[] = {
        {1, 24, 14, 14, 40, 1, 1, 0, 1, 1},
        {2, 16, 15, 9, 33, 1, 2, 0, 1, 1},
        {1, 1024, 3, 5, 20, 1, 1, 0, 1, 1},
        {1, 32, 12, 12, 32, 3, 1, 1, 1, 32},
        {2, 16, 9, 11, 32, 3, 2, 1, 1, 4},
        {1, 12, 10, 10, 24, 5, 1, 2, 1, 12},
        {1, 8, 1, 1, 300, 1, 1, 0, 1, 1},
        /* long sums: in chains, and in parts where A is large */
        {1, 769, 5, 5, 20, 1, 1, 0, 1, 1},
        {1, 1700, 9, 13, 20, 1, 1, 0, 1, 1},
    };
    check_all(table, COUNT(table));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_by_three),
        cmocka_unit_test(windows),
        cmocka_unit_test(pointwise_and_groups),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
