/* tests/unit/test_blocks.c - kernels in stages, cut into units of rows and columns: the
 * interpreter has the same bits of both, also where results take the place of operands. */
#include "codegen/blocks.h"
#include "ir/lower.h"
#include "ir/op.h"
#include "ir/text.h"
#include "kernel_run.h"
#include "passes/pass.h"

#define GML_STAGES                                                                             \
    "infer,differentiate,simplify,cse,recognise,expand,fold,cse,simplify,dce,recompute,fuse,"  \
    "stage"

typedef struct kit {
    gml_arena arena;
    gml_diags diags;
    gml_module *module;
    unsigned n_over; /* kernels whose first output may lie over an input */
} kit;

static void kit_init(kit *k, const char *text)
{
    gml_passes_options options = {.verify = true};
    k->n_over = 0;
    gml_arena_init(&k->arena);
    gml_diags_init(&k->diags, &k->arena);
    gml_status status = gml_text_parse(text, strlen(text), "test", &k->diags, &k->module);
    if (status == GML_OK)
        status = gml_passes_run(k->module, GML_STAGES, &options, &k->diags);
    if (status != GML_OK)
        print_error("%s", gml_diags_print(&k->diags));
    assert_int_equal(status, GML_OK);
}

static void kit_reset(kit *k)
{
    gml_module_destroy(k->module);
    gml_arena_reset(&k->arena);
}

/* The kernel that does one unit after the other. */
static void set_body(gml_kernel *kernel, const gml_block_unit *units, unsigned n)
{
    kernel->body = NULL;
    kernel->n_shared = 0;
    for (unsigned i = 0; i < n; i++) {
        gml_stmt *body = NULL;
        for (const gml_stmt *stage = units[i].stages; stage; stage = stage->next) {
            gml_stmt *copy = gml_new(kernel->arena, gml_stmt);
            *copy = *stage;
            copy->next = NULL;
            gml_stmt_append(&body, copy);
        }
        for (unsigned d = units[i].n_outer; d-- > 0;)
            body = gml_stmt_for(kernel, units[i].outer[d], body);
        gml_stmt_append(&kernel->body, body);
    }
}

/* Cuts every kernel in stages of the graph; the units that each became, as digits. */
static void cut_all(kit *k, int64_t rows, int64_t bytes, char out[8])
{
    size_t n_cut = 0;
    for (const gml_node *node = k->module->main->first; node; node = node->next) {
        if (node->op != &gml_op_fused || gml_node_int(node, "shared", 0) == 0)
            continue;
        unsigned *numbers = gml_new_array(&k->arena, unsigned, node->n_operands + 1);
        gml_kernel *kernel = gml_lower_node(&k->arena, &k->module->dims, node, numbers);
        gml_block_unit units[GML_MAX_BLOCK_UNITS];
        uint64_t *over = gml_new_array(&k->arena, uint64_t, kernel->outputs.count + 1);
        size_t n_before = 0;
        size_t n_after = 0;
        run_place place = {&k->arena, &k->diags};
        const float *before = run_kernel(kernel, &place, NULL, &n_before);
        gml_kernel_over(kernel, over);
        k->n_over += over[0] != 0;
        unsigned n = gml_blocks_cut(kernel, rows, bytes, units);
        assert_true(n_cut < 7);
        out[n_cut++] = (char)('0' + n);
        if (n == 0)
            continue;
        set_body(kernel, units, n);
        for (int in_place = 0; in_place < 2; in_place++) {
            const float *after = run_kernel(kernel, &place, in_place ? over : NULL, &n_after);
            assert_int_equal(n_before, n_after);
            assert_memory_equal(before, after, n_before * sizeof *before);
        }
    }
    out[n_cut] = '\0';
}

static void attention_is_cut_into_rows(void **state)
{
    (void)state;
    static const int tokens[] = {17, 41, 64, 79, 97};
    static const char *const found[] = {"0", "1", "1", "1", "1"};
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        char text[512];
        char cut[8];
        kit k;
        snprintf(text, sizeof text,
                 "graph @f(%%q: f32[2,4,%d,8], %%k: f32[2,4,50,8], %%v: f32[2,4,50,8]) {\n"
                 "  %%y = Attention(%%q, %%k, %%v)\n  return %%y\n}\n",
                 tokens[i]);
        kit_init(&k, text);
        cut_all(&k, 32, 65536, cut);
        assert_string_equal(cut, found[i]);
        kit_reset(&k);
    }
}

/* Rows that two blocks do are stored by the first; the other may find their operands gone. */
static void results_take_the_place_of_operands(void **state)
{
    (void)state;
    kit k;
    char cut[8];
    kit_init(&k, "graph @f(%q: f32[2,4,41,8], %k: f32[2,4,50,8], %v: f32[2,4,50,8], "
                 "%r: f32[2,4,41,8]) {\n"
                 "  %o = Attention(%q, %k, %v)\n  %y = Add(%o, %r)\n  return %y\n}\n");
    cut_all(&k, 32, 65536, cut);
    assert_string_equal(cut, "1");
    assert_int_equal(k.n_over, 1);
    kit_reset(&k);
}

/* What differentiating an attention comes to: %g is the gradient of its result. */
static const char gradient[] =
    "graph @f(%q: f32[2,4,45,8], %k: f32[2,4,37,8], %v: f32[2,4,37,8], %g: f32[2,4,45,8]) {\n"
    "  %kt = Transpose(%k) {perm = [0, 1, 3, 2]}\n"
    "  %s = MatMul(%q, %kt)\n"
    "  %p = Softmax(%s)\n"
    "  %vt = Transpose(%v) {perm = [0, 1, 3, 2]}\n"
    "  %dp = MatMul(%g, %vt)\n"
    "  %pt = Transpose(%p) {perm = [0, 1, 3, 2]}\n"
    "  %dv = MatMul(%pt, %g)\n"
    "  %w = Mul(%p, %dp)\n"
    "  %axis = Constant {value = i64[1]{3}}\n"
    "  %d = ReduceSum(%w, %axis)\n"
    "  %c = Sub(%dp, %d)\n"
    "  %ds = Mul(%p, %c)\n"
    "  %dq = MatMul(%ds, %k)\n"
    "  %dst = Transpose(%ds) {perm = [0, 1, 3, 2]}\n"
    "  %dk = MatMul(%dst, %q)\n"
    "  return %dq, %dk, %dv\n}\n";

/* The gradient of queries is one of rows, those of keys and values are of columns. */
static void its_gradient_is_cut_into_rows_and_columns(void **state)
{
    (void)state;
    static const int64_t rows[] = {16, 20, 37, 44, 64};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        kit k;
        char cut[8];
        kit_init(&k, gradient);
        cut_all(&k, rows[i], 65536, cut);
        assert_string_equal(cut, rows[i] < 45 ? "2" : "0");
        kit_reset(&k);
    }
}

/* Fewer bytes, smaller blocks; too few, and the kernel stays whole. */
static void memory_bounds_the_blocks(void **state)
{
    (void)state;
    kit k;
    char cut[8];
    kit_init(&k, gradient);
    cut_all(&k, 64, 45 * 2 * 4 * 20, cut);
    assert_string_equal(cut, "2");
    cut_all(&k, 64, 45 * 2 * 4 * 8, cut);
    assert_string_equal(cut, "0");
    kit_reset(&k);
}

/* Blocks of a unit take no more than was allowed, arrays that lie over others counted once. */
static void arrays_lie_over_each_other(void **state)
{
    (void)state;
    kit k;
    unsigned n_kernels = 0;
    kit_init(&k, gradient);
    for (const gml_node *node = k.module->main->first; node; node = node->next) {
        if (node->op != &gml_op_fused || gml_node_int(node, "shared", 0) == 0)
            continue;
        unsigned *numbers = gml_new_array(&k.arena, unsigned, node->n_operands + 1);
        gml_kernel *kernel = gml_lower_node(&k.arena, &k.module->dims, node, numbers);
        size_t n_before = kernel->locals.count;
        gml_block_unit units[GML_MAX_BLOCK_UNITS];
        unsigned n = gml_blocks_cut(kernel, 20, 65536, units);
        unsigned n_arrays = 0;
        for (size_t i = n_before; i < kernel->locals.count; i++)
            n_arrays += kernel->locals.items[i]->rank == 2;
        /* scores, their softmax; its gradient and that of scores: two of rows, two of columns
         */
        assert_int_equal(n, 2);
        assert_int_equal(n_arrays, 4);
        n_kernels++;
    }
    assert_int_equal(n_kernels, 1);
    kit_reset(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_is_cut_into_rows),
        cmocka_unit_test(results_take_the_place_of_operands),
        cmocka_unit_test(its_gradient_is_cut_into_rows_and_columns),
        cmocka_unit_test(memory_bounds_the_blocks),
        cmocka_unit_test(arrays_lie_over_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
