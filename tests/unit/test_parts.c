/* tests/unit/test_parts.c - kernels that do the same to several lists of operands: which are
 * flat, how their parts run, what a program refuses. */
#include "ir/flatten.h"
#include "ir/lower.h"
#include "ir/text.h"
#include "tests/unit/program_util.h"

/* ---- flat kernels ----------------------------------------------------------------------- */

/* Text of the flat kernel of a graph's last node, or "" when it has none. */
static void flatten_to(const char *graph, gml_str *out, int64_t *out_value)
{
    bench b;
    bench_init(&b);
    gml_module *module = NULL;
    gml_dim_pool sizes;
    gml_dim symbol = 0;
    gml_dim_pool_init(&sizes, &b.arena);
    assert_ok(&b, gml_text_parse(graph, strlen(graph), "test", &b.diags, &module));
    const gml_node *node = module->main->last;
    unsigned *numbers = gml_new_array(&b.arena, unsigned, node->n_operands + 1);
    gml_kernel *kernel = gml_lower_node(&b.arena, &module->dims, node, numbers);
    const gml_kernel *flat = gml_kernel_flatten(kernel, &sizes, &symbol, out_value);
    if (flat != NULL)
        gml_kernel_print(flat, out);
    gml_module_destroy(module);
    bench_reset(&b);
}

static void expect_flat(const char *graph, const char *text, int64_t value)
{
    gml_str out;
    int64_t found = 0;
    gml_str_init(&out);
    flatten_to(graph, &out, &found);
    assert_string_equal(out.text != NULL ? out.text : "", text);
    if (*text != '\0')
        assert_int_equal(found, value);
    gml_str_reset(&out);
}

#define GML_SCALED                                                                             \
    "kernel Mul in parts(x0: f32[(n * 8)], x1: f32[]) -> (y0: f32[(n * 8)])\n"                 \
    "    for i0 in (n * 8)\n"                                                                  \
    "        y0[i0] = (x0[i0] * x1[])\n"

static void what_does_not_depend_on_the_shape_is_flat(void **state)
{
    (void)state;
    expect_flat("graph @f(%x: f32[4,6], %r: f32[]) {\n  %y = Mul(%x, %r) : f32[4,6]\n"
                "  return %y\n}\n",
                GML_SCALED, 3);
    expect_flat("graph @f(%x: f32[2,1,8,3], %r: f32[1,1]) {\n"
                "  %y = Mul(%x, %r) : f32[2,1,8,3]\n  return %y\n}\n",
                GML_SCALED, 6);
    expect_flat("graph @f(%x: f32[5]) {\n  %y = Neg(%x) : f32[5]\n  return %y\n}\n",
                "kernel Neg in parts(x0: f32[n]) -> (y0: f32[n])\n    for i0 in n\n"
                "        y0[i0] = neg(x0[i0])\n",
                5);
}

static void what_depends_on_the_shape_is_not(void **state)
{
    (void)state;
    static const char *const graphs[] = {
        "graph @f(%x: f32[4,6], %r: f32[6]) {\n  %y = Mul(%x, %r) : f32[4,6]\n  return %y\n}\n",
        "graph @f(%x: f32[4,1], %r: f32[1,4]) {\n  %y = Mul(%x, %r) : f32[4,4]\n"
        "  return %y\n}\n",
        "graph @f(%x: f32[4,6]) {\n  %y = Transpose(%x) {perm = [1, 0]} : f32[6,4]\n"
        "  return %y\n}\n",
        "graph @f(%x: f32[4,6]) {\n  %y = ReduceSum(%x) : f32[1,1]\n  return %y\n}\n",
        "graph @f(%x: f32[4,4], %z: f32[4,4]) {\n  %y = MatMul(%x, %z) : f32[4,4]\n"
        "  return %y\n}\n",
        "graph @f(%x: f32[m]) {\n  %y = Neg(%x) : f32[m]\n  return %y\n}\n",
        "graph @f(%x: f32[1,1]) {\n  %y = Neg(%x) : f32[1,1]\n  return %y\n}\n",
        "graph @f(%x: f32[0,8]) {\n  %y = Neg(%x) : f32[0,8]\n  return %y\n}\n",
    };
    for (size_t i = 0; i < sizeof graphs / sizeof *graphs; i++)
        expect_flat(graphs[i], "", 0);
}

/* ---- programs --------------------------------------------------------------------------- */

/* mems: the operand, a number, the result; dims[0] elements in units of 4. */
static void k_scale(void *const *mems, const int64_t *dims, int64_t begin, int64_t end,
                    void *scratch)
{
    const float *x = mems[0];
    const float *by = mems[1];
    float *y = mems[2];
    (void)scratch;
    for (int64_t i = 4 * begin; i < 4 * end && i < dims[0]; i++)
        y[i] = x[i] * *by;
}

enum { N_PARTS = 3 };
static const int64_t lengths[N_PARTS] = {1000, 3, 8};

/* y_i = x_i * r of three lengths, in one step. */
static gml_program *create_parts(const uint64_t *over)
{
    gml_program *p = gml_program_create();
    uint32_t slots[N_PARTS + 1];
    uint32_t inputs[2 * N_PARTS];
    uint32_t outputs[N_PARTS];
    slots[0] = add_slot(p, GML_SLOT_INPUT, GML_F32, 0, NULL);
    for (int i = 0; i < N_PARTS; i++)
        slots[1 + i] = add_vector(p, GML_SLOT_INPUT, lengths[i]);
    set_inputs(p, N_PARTS + 1, slots);
    for (int i = 0; i < N_PARTS; i++) {
        inputs[2 * i] = slots[1 + i];
        inputs[2 * i + 1] = slots[0];
        outputs[i] = add_vector(p, GML_SLOT_ARENA, lengths[i]);
    }
    gml_step *step = add_step(p, GML_STEP_KERNEL, "scale", 2 * N_PARTS, inputs, 0);
    add_phase(p, step, k_scale, "k_scale", 0);
    step->outputs = numbers_of(p, N_PARTS, outputs);
    step->n_outputs = N_PARTS;
    gml_part_sizes *parts = gml_new(&p->arena, gml_part_sizes);
    int64_t *units = gml_new_array(&p->arena, int64_t, N_PARTS);
    for (int i = 0; i < N_PARTS; i++)
        units[i] = (lengths[i] + 3) / 4;
    *parts = (gml_part_sizes){N_PARTS, 1, lengths, units};
    step->parts = parts;
    step->over = over;
    set_outputs(p, N_PARTS, outputs);
    return p;
}

static void every_part_has_its_own_operands_and_sizes(void **state)
{
    (void)state;
    float x[N_PARTS][1000];
    float by = 3;
    bench b;
    bench_init(&b);
    gml_program *p = create_parts(NULL);
    assert_ok(&b, gml_program_plan(p, &b.diags));
    for (int i = 0; i < N_PARTS; i++)
        for (int k = 0; k < 1000; k++)
            x[i][k] = (float)(1000 * i + k);
    for (int n_threads = 1; n_threads <= 3; n_threads++) {
        gml_pool *pool = gml_pool_create(n_threads, NULL);
        gml_instance *instance = NULL;
        gml_rvalue inputs[N_PARTS + 1];
        gml_rvalue outputs[N_PARTS] = {0};
        for (int i = 0; i < N_PARTS; i++)
            inputs[1 + i] = vector_view(lengths[i], x[i]);
        inputs[0] = tensor_view(GML_F32, 0, NULL, &by);
        assert_ok(&b, gml_instance_create(p, pool, &instance, &b.diags));
        assert_ok(&b,
                  gml_instance_run(instance, inputs, N_PARTS + 1, outputs, N_PARTS, &b.diags));
        for (int i = 0; i < N_PARTS; i++) {
            const float *y = outputs[i].tensor.data;
            assert_int_equal(outputs[i].tensor.dims[0], lengths[i]);
            for (int64_t k = 0; k < lengths[i]; k++)
                assert_true(y[k] == 3 * x[i][k]);
        }
        gml_instance_destroy(instance);
        gml_pool_destroy(pool);
    }
    gml_program_release(p);
    bench_reset(&b);
}

/* The states of all parts are computed where they lie. */
static void states_are_replaced_in_place(void **state)
{
    (void)state;
    static const uint64_t over[N_PARTS] = {1, 1, 1}; /* the part's first input */
    bench b;
    bench_init(&b);
    gml_program *p = create_parts(over);
    for (uint32_t i = 0; i < N_PARTS; i++) {
        gml_program_state one = {.name = "state", .input = 1 + i, .output = i};
        gml_push(&p->arena, &p->states, one);
    }
    assert_ok(&b, gml_program_plan(p, &b.diags));
    assert_int_equal(p->arena_size, 0);
    for (uint32_t i = 0; i < N_PARTS; i++)
        assert_true(p->slots.items[p->outputs[i]].is_state);
    gml_program_release(p);
    bench_reset(&b);
}

/* What another part reads cannot be replaced while parts run side by side. */
static void what_another_part_reads_stays(void **state)
{
    (void)state;
    static const uint64_t over[N_PARTS] = {1, 1, 1};
    bench b;
    bench_init(&b);
    gml_program *p = create_parts(over);
    gml_step *step = &p->steps.items[0];
    uint32_t inputs[2 * N_PARTS];
    memcpy(inputs, step->inputs, sizeof inputs);
    inputs[5] = inputs[0]; /* the third part reads the first part's vector */
    step->inputs = numbers_of(p, 2 * N_PARTS, inputs);
    for (uint32_t i = 0; i < N_PARTS; i++) {
        gml_program_state one = {.name = "state", .input = 1 + i, .output = i};
        gml_push(&p->arena, &p->states, one);
    }
    assert_ok(&b, gml_program_plan(p, &b.diags));
    assert_false(p->slots.items[p->outputs[0]].is_state);
    assert_true(p->slots.items[p->outputs[1]].is_state);
    gml_program_release(p);
    bench_reset(&b);
}

static void parts_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const int64_t negative[N_PARTS] = {1, -1, 1};
    for (int fault = 0; fault < 5; fault++) {
        bench b;
        bench_init(&b);
        gml_program *p = create_parts(NULL);
        gml_step *step = &p->steps.items[0];
        gml_part_sizes *parts = gml_new(&p->arena, gml_part_sizes);
        *parts = *step->parts;
        step->parts = parts;
        if (fault == 0)
            parts->count = 0;
        else if (fault == 1)
            parts->count = 2;
        else if (fault == 2)
            parts->units = negative;
        else if (fault == 3)
            step->scratch = 64;
        else
            add_phase(p, step, k_scale, "k_scale", 1);
        assert_int_equal(gml_program_plan(p, &b.diags), GML_E_INVALID);
        assert_says(&b, "part");
        gml_program_release(p);
        bench_reset(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_does_not_depend_on_the_shape_is_flat),
        cmocka_unit_test(what_depends_on_the_shape_is_not),
        cmocka_unit_test(every_part_has_its_own_operands_and_sizes),
        cmocka_unit_test(states_are_replaced_in_place),
        cmocka_unit_test(what_another_part_reads_stays),
        cmocka_unit_test(parts_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
