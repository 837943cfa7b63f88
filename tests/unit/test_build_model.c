/* tests/unit/test_build_model.c - gemel/build.h, the weights that it fills, and the networks of
 * models/. */
#define _POSIX_C_SOURCE 200809L
#include "api/build_model.h"
#include "api/eager.h"
#include "api/fill.h"
#include "frontend/import.h"
#include "models/models.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state)
{
    *state = gml_builder_create("net", 0, 7);
    return 0;
}

static int tear_down(void **state)
{
    gml_builder_destroy(*state);
    return 0;
}

static void expect_failure(gml_builder *b, gml_status status, const char *text)
{
    assert_int_equal(gml_builder_status(b), status);
    assert_non_null(strstr(gml_builder_message(b), text));
}

/* y = x w + b with x (batch, 2), w (2, 3): the whole way through a file. */
static gml_value *add_affine(gml_builder *b)
{
    static float elements[] = {1, 2, 3, 4, 5, 6};
    gml_tensor w = {GML_F32, 2, {2, 3}, elements};
    gml_extent extents[] = {{0, "batch"}, {2}};
    gml_value *x = gml_builder_input(b, "x", GML_F32, 2, extents);
    gml_value *weight = gml_builder_tensor(b, "w", &w, true);
    gml_value *bias =
        gml_builder_weight(b, "b", GML_F32, 1, (int64_t[]){3}, gml_fill_constant(0.5));
    return gml_builder_node(
        b, &(gml_node_spec){.op = "Gemm", .name = "affine", .inputs = {x, weight, bias}});
}

static void save_and_load(gml_builder *b, gml_module **out_module, gml_diags *diags)
{
    char path[] = "/tmp/gemel_build_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(gml_builder_save(b, path, NULL), GML_OK);
    gml_status status = gml_onnx_load(path, NULL, out_module, diags);
    unlink(path);
    assert_int_equal(status, GML_OK);
}

static void a_saved_model_runs(void **state)
{
    gml_builder *b = *state;
    gml_value *y = add_affine(b);
    gml_builder_output(b, y, "y");
    gml_builder_metadata(b, "kind", "test");
    gml_builder_metadata_append(b, "lines", "one");
    gml_builder_metadata_append(b, "lines", "two");
    assert_int_equal(gml_builder_rank(b, y), 2);
    assert_int_equal(gml_builder_dim(b, y, 0), -1);
    assert_int_equal(gml_builder_dim(b, y, 1), 3);
    assert_int_equal(gml_builder_parameters(b), 3);
    gml_arena arena;
    gml_arena_init(&arena);
    gml_diags diags;
    gml_diags_init(&diags, &arena);
    gml_module *module = NULL;
    save_and_load(b, &module, &diags);
    gml_rvalue x;
    gml_rvalue result;
    assert_int_equal(gml_rvalue_alloc(&x, GML_F32, 2, (int64_t[]){1, 2}), GML_OK);
    memcpy(x.tensor.data, (float[]){1, 10}, 2 * sizeof(float));
    assert_int_equal(gml_eager_run(module->main, &x, &result, NULL, &diags), GML_OK);
    const float *values = result.tensor.data;
    for (int i = 0; i < 3; i++)
        assert_true(values[i] == (float)(i + 1 + 10 * (i + 4)) + 0.5F);
    gml_rvalue_reset(&x);
    gml_rvalue_reset(&result);
    gml_module_destroy(module);
    gml_arena_reset(&arena);
}

static void the_first_failure_sticks(void **state)
{
    gml_builder *b = *state;
    gml_value *y = add_affine(b);
    gml_value *w =
        gml_builder_weight(b, "v", GML_F32, 2, (int64_t[]){4, 4}, gml_fill_constant(0));
    gml_value *z = gml_builder_node(
        b, &(gml_node_spec){.op = "MatMul", .name = "wrong", .inputs = {y, w}});
    assert_non_null(z);
    expect_failure(b, GML_E_SHAPE, "wrong (MatMul)");
    gml_value *more = gml_builder_node(b, &(gml_node_spec){.op = "Nonsense", .inputs = {z}});
    assert_non_null(more);
    gml_builder_output(b, more, "y");
    assert_null(strstr(gml_builder_message(b), "Nonsense"));
    assert_int_not_equal(gml_builder_save(b, "/nonexistent/x.onnx", NULL), GML_OK);
}

static void faults_are_named(void **state)
{
    gml_builder *b = *state;
    gml_builder_input(b, "x", GML_F32, 1, (gml_extent[]){{2}});
    gml_builder_input(b, "x", GML_F32, 1, (gml_extent[]){{2}});
    expect_failure(b, GML_E_INVALID, "x: two values have this name");
    static const struct {
        gml_extent extent;
        int rank;
    } cases[] = {
        {{-1}, 1}, {{0, "not a name"}, 1}, {{0, ""}, 1}, {{1}, GML_MAX_RANK + 1}, {{1}, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gml_builder *other = gml_builder_create("g", 0, 0);
        gml_builder_input(other, "x", GML_F32, cases[i].rank, &cases[i].extent);
        assert_int_equal(gml_builder_status(other), GML_E_SHAPE);
        gml_builder_destroy(other);
    }
    b = gml_builder_create("g", 0, 0);
    gml_builder_weight(b, "w", GML_I64, 0, NULL, gml_fill_constant(0));
    expect_failure(b, GML_E_TYPE, "w: ");
    gml_builder_destroy(b);
    b = gml_builder_create("g", 0, 0);
    gml_builder_weight(b, "w", GML_F32, 2, (int64_t[]){INT64_MAX, INT64_MAX},
                       gml_fill_constant(0));
    expect_failure(b, GML_E_SHAPE, "w: ");
    gml_builder_destroy(b);
    b = gml_builder_create("g", 0, 0);
    expect_failure(b, GML_OK, "");
    assert_int_equal(gml_builder_save(b, "x.onnx", NULL), GML_E_INVALID);
    expect_failure(b, GML_E_INVALID, "the graph has no output");
    gml_builder_destroy(b);
    b = gml_builder_create("g", 16, 0);
    expect_failure(b, GML_E_UNSUPPORTED, "operator set 16 is outside 17 to 27");
    gml_builder_destroy(b);
}

/* An unknown attribute and an operator that an old set lacks are found when the model is saved.
 */
static void saving_checks_the_graph(void **state)
{
    (void)state;
    gml_builder *b = gml_builder_create("g", 19, 0);
    gml_value *x = gml_builder_input(b, "x", GML_F32, 1, (gml_extent[]){{2}});
    gml_value *y =
        gml_builder_node(b, &(gml_node_spec){.op = "Gelu", .name = "act", .inputs = {x}});
    gml_builder_output(b, y, "y");
    assert_int_equal(gml_builder_save(b, "/nonexistent/x.onnx", NULL), GML_E_UNSUPPORTED);
    assert_non_null(strstr(gml_builder_message(b),
                           "act (Gelu): this needs operator set 20, and 19 is to be written"));
    gml_builder_destroy(b);
    b = gml_builder_create("g", 0, 0);
    x = gml_builder_input(b, "x", GML_F32, 1, (gml_extent[]){{2}});
    y = gml_builder_node(
        b, &(gml_node_spec){
               .op = "Relu", .name = "act", .inputs = {x}, .attrs = {GML_INT("axis", 1)}});
    gml_builder_output(b, y, "y");
    assert_int_equal(gml_builder_save(b, "/nonexistent/x.onnx", NULL), GML_E_INVALID);
    assert_non_null(strstr(gml_builder_message(b), "act (Relu)"));
    gml_builder_destroy(b);
}

static void nodes_have_several_results(void **state)
{
    gml_builder *b = *state;
    gml_value *x = gml_builder_input(b, "x", GML_F32, 2, (gml_extent[]){{6}, {0, "n"}});
    gml_value *first = gml_builder_node(
        b, &(gml_node_spec){.op = "Split",
                            .inputs = {x},
                            .n_outputs = 3,
                            .attrs = {GML_INT("axis", 0), GML_INT("num_outputs", 3)}});
    gml_value *third = gml_builder_result(b, first, 2);
    assert_int_equal(gml_builder_dim(b, third, 0), 2);
    gml_value *list[] = {third, first, third};
    gml_value *joined = gml_builder_node(b, &(gml_node_spec){.op = "Concat",
                                                             .input_list = list,
                                                             .n_inputs = 3,
                                                             .attrs = {GML_INT("axis", -1)}});
    gml_builder_output(b, joined, "y");
    gml_module *module = NULL;
    assert_int_equal(gml_builder_module(b, NULL, &module), GML_OK);
    assert_string_equal(module->main->results[0]->name, "Concat_0_output_0");
    gml_builder_result(b, first, 3);
    expect_failure(b, GML_E_INVALID, "there is no such result");
}

/* ---- fills ------------------------------------------------------------------------------- */

typedef struct moments {
    double mean, deviation, least, most, kurtosis;
} moments;

#define GML_N_SAMPLES 200000

static moments measure(gml_fill fill)
{
    double *x = malloc(GML_N_SAMPLES * sizeof *x);
    gml_fill_elements(&fill, 99, GML_F64, 0, GML_N_SAMPLES, x);
    moments m = {.least = x[0], .most = x[0]};
    double second = 0;
    double fourth = 0;
    for (int i = 0; i < GML_N_SAMPLES; i++)
        m.mean += x[i] / GML_N_SAMPLES;
    for (int i = 0; i < GML_N_SAMPLES; i++) {
        double d = x[i] - m.mean;
        second += d * d / GML_N_SAMPLES;
        fourth += d * d * d * d / GML_N_SAMPLES;
        m.least = fmin(m.least, x[i]);
        m.most = fmax(m.most, x[i]);
    }
    free(x);
    m.deviation = sqrt(second);
    m.kurtosis = fourth / (second * second);
    return m;
}

static void fills_have_their_distribution(void **state)
{
    (void)state;
    moments m = measure(gml_fill_normal(1, 2));
    assert_true(fabs(m.mean - 1) < 0.02 && fabs(m.deviation - 2) < 0.02);
    assert_true(fabs(m.kurtosis - 3) < 0.06 && m.most > 8 && m.least < -6);
    m = measure(gml_fill_truncated_normal(0, 1));
    assert_true(fabs(m.mean) < 0.01 && fabs(m.deviation - 0.8796) < 0.01);
    assert_true(m.most <= 2 && m.least >= -2 && m.most > 1.99);
    m = measure(gml_fill_uniform(-1, 3));
    assert_true(fabs(m.mean - 1) < 0.02 && fabs(m.deviation - 4 / sqrt(12)) < 0.02);
    assert_true(m.most < 3 && m.least > -1);
}

/* An element does not depend on which elements are made beside it; f16 and f32 are the same
 * number. */
static void fills_are_functions_of_the_element(void **state)
{
    (void)state;
    gml_fill fill = gml_fill_normal(0, 1);
    float all[16];
    float part[4];
    double wide[16];
    uint16_t small[2];
    gml_fill_elements(&fill, 5, GML_F32, 0, 16, all);
    gml_fill_elements(&fill, 5, GML_F32, 9, 4, part);
    gml_fill_elements(&fill, 5, GML_F64, 0, 16, wide);
    assert_memory_equal(all + 9, part, sizeof part);
    assert_true(all[3] == (float)wide[3]);
    gml_fill_elements(&fill, 6, GML_F32, 9, 4, part);
    assert_memory_not_equal(all + 9, part, sizeof part);
    fill = gml_fill_constant(1);
    gml_fill_elements(&fill, 5, GML_BF16, 0, 2, small);
    assert_int_equal(small[1], 0x3f80);
}

/* ---- networks ---------------------------------------------------------------------------- */

static uint64_t count_parameters(const char *name, const char *variant, bool no_head)
{
    const gml_network *network = gml_network_find(name);
    assert_non_null(network);
    assert_true(gml_network_has_variant(network, variant));
    gml_network_options options = {
        .variant = variant, .batch = {0, "batch"}, .no_head = no_head, .opset = 17};
    gml_builder *b = gml_builder_create(name, 17, 0);
    network->build(b, &options);
    if (gml_builder_status(b) != GML_OK)
        fail_msg("%s", gml_builder_message(b));
    uint64_t count = gml_builder_parameters(b);
    gml_builder_destroy(b);
    return count;
}

/* As the frameworks' own implementations count. Nothing is filled, so this is cheap. */
static void networks_have_their_parameters(void **state)
{
    (void)state;
    assert_int_equal(count_parameters("vit", NULL, false), 86567656);
    assert_int_equal(count_parameters("vit", "s16", false), 22050664);
    assert_int_equal(count_parameters("vit", "l16", false), 304326632);
    assert_int_equal(count_parameters("vit", "b16", true), 85798656);
    assert_int_equal(count_parameters("resnet", "50", false), 25557032);
    assert_int_equal(count_parameters("resnet", "101", false), 44549160);
    assert_int_equal(count_parameters("bert", "base", false), 109482240);
    assert_int_equal(count_parameters("bert", NULL, true), 108891648);
    assert_int_equal(count_parameters("superres", NULL, false), 59657);
    assert_int_equal(count_parameters("siameseim", NULL, false), 129944832);
    assert_null(gml_network_find("nothing"));
    assert_false(gml_network_has_variant(gml_network_find("vit"), "b1"));
    assert_false(gml_network_has_variant(gml_network_find("superres"), ""));
}

/* A small vision transformer, written and read: sizes that are open stay open, names stay. */
static void a_network_survives_the_file(void **state)
{
    (void)state;
    gml_network_options options = {
        .variant = "ti16", .batch = {0, "batch"}, .image_size = 32, .opset = 20};
    gml_builder *b = gml_builder_create("vit", 20, 0);
    gml_network_find("vit")->build(b, &options);
    gml_arena arena;
    gml_arena_init(&arena);
    gml_diags diags;
    gml_diags_init(&diags, &arena);
    gml_module *module = NULL;
    save_and_load(b, &module, &diags);
    assert_int_equal(module->opset, 20);
    gml_str text;
    gml_str_init(&text);
    gml_type_print(&module->dims, &module->main->results[0]->type, &text);
    assert_string_equal(text.text, "f32[batch,1000]");
    bool is_found = false;
    gml_for_each_node(node, module->main) {
        const gml_value *value = &node->results[0];
        if (value->name == NULL || strcmp(value->name, "blocks.0.attn.qkv.weight") != 0)
            continue;
        is_found = true;
        assert_int_equal(value->constant->dims[0], 192);
        assert_int_equal(value->constant->dims[1], 3 * 192);
    }
    assert_true(is_found);
    gml_str_reset(&text);
    gml_module_destroy(module);
    gml_arena_reset(&arena);
    gml_builder_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_saved_model_runs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_failure_sticks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(faults_are_named, set_up, tear_down),
        cmocka_unit_test(saving_checks_the_graph),
        cmocka_unit_test_setup_teardown(nodes_have_several_results, set_up, tear_down),
        cmocka_unit_test(fills_have_their_distribution),
        cmocka_unit_test(fills_are_functions_of_the_element),
        cmocka_unit_test(networks_have_their_parameters),
        cmocka_unit_test(a_network_survives_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
