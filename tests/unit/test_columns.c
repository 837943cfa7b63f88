/* tests/unit/test_columns.c - sums of columns by the statement that stores what they sum: which
 * are found, and that the interpreter has the same of both forms. */
#include "codegen/columns.h"
#include "ir/index.h"
#include "ir/lower.h"
#include "ir/text.h"
#include "kernel_run.h"
#include "passes/pass.h"

#include <math.h>

#define GML_AXES "  %axes = Constant {value = [0]} : i64[1]\n"

typedef struct sums_case {
    const char *name;
    const char *text; /* becomes one kernel */
    int64_t rows, columns;
    unsigned n_sums;   /* that its first statement makes */
    unsigned n_stores; /* that it is left with, those of sums included; 0: not counted */
} sums_case;

static const sums_case cases[] = {
    {.name = "a product; what it stores is a result",
     .text = "graph @f(%x: f32[128,8], %w: f32[8,12]) {\n" GML_AXES
             "  %y = MatMul(%x, %w)\n  %s = ReduceSum(%y, %axes) {keepdims = 0}\n"
             "  return %y, %s\n}\n",
     .n_sums = 1,
     .rows = 128,
     .columns = 12,
     .n_stores = 2},
    {.name = "only a copy in bf16 is stored",
     .text = "graph @f(%x: f32[128,8], %w: f32[8,12]) {\n" GML_AXES
             "  %y = gemel.Fused(%x, %w) {\n    body = graph @body(%a: f32[128,8], "
             "%b: f32[8,12]) {\n      %y = MatMul(%a, %b)\n      return %y\n    }\n  }\n"
             "  %s = ReduceMean(%y, %axes)\n  return %y, %s\n}\n",
     .n_sums = 1,
     .rows = 128,
     .columns = 12,
     .n_stores = 2},
    {.name = "several, through views, with rows in two loops and columns in two",
     .text = "graph @f(%x: f32[16,8,2,6], %r: f32[128,12]) {\n" GML_AXES
             "  %two = Constant {value = [0, 1]} : i64[2]\n"
             "  %shape = Constant {value = [128, 12]} : i64[2]\n"
             "  %y = Exp(%x)\n  %s = ReduceSum(%y, %two) {keepdims = 0}\n"
             "  %v = Reshape(%y, %shape)\n  %m = Mul(%v, %r)\n"
             "  %t = ReduceMean(%m, %axes)\n  return %y, %s, %t\n}\n",
     .n_sums = 2,
     .rows = 128,
     .columns = 12,
     .n_stores = 3},
    {.name = "in the rows of a norm",
     .text = "graph @f(%x: f32[80,24], %w: f32[24]) {\n" GML_AXES
             "  %y = LayerNormalization(%x, %w) {axis = -1}\n  %q = Mul(%y, %y)\n"
             "  %s = ReduceSum(%q, %axes) {keepdims = 0}\n  return %y, %s\n}\n",
     .n_sums = 1,
     .rows = 80,
     .columns = 24},
    {.name = "sums of rows are none",
     .text = "graph @f(%x: f32[128,12]) {\n  %axes = Constant {value = [1]} : i64[1]\n"
             "  %y, %s = gemel.Fused(%x) {\n    body = graph @body(%a: f32[128,12]) {\n"
             "      %b = Exp(%a)\n      %s = ReduceSum(%b, %axes)\n      return %b, %s\n"
             "    },\n    shared = 0\n  }\n  return %y, %s\n}\n"},
};

typedef struct kit {
    gml_arena arena;
    gml_diags diags;
    gml_module *module;
    gml_kernel *kernel;
} kit;

static void kit_init(kit *k, const sums_case *c)
{
    gml_passes_options options = {.verify = true, .is_gpu = true};
    gml_arena_init(&k->arena);
    gml_diags_init(&k->diags, &k->arena);
    gml_status status =
        gml_text_parse(c->text, strlen(c->text), c->name, &k->diags, &k->module);
    if (status == GML_OK)
        status = gml_passes_run(k->module, "infer,expand,simplify,dce,fuse,sums", &options,
                                &k->diags);
    if (status != GML_OK)
        fail_msg("%s: %s", c->name, gml_diags_print(&k->diags));
    const gml_node *node = k->module->main->last;
    unsigned *numbers = gml_new_array(&k->arena, unsigned, node->n_operands + 1);
    k->kernel = gml_lower_node(&k->arena, &k->module->dims, node, numbers);
}

static void kit_reset(kit *k)
{
    gml_module_destroy(k->module);
    gml_arena_reset(&k->arena);
}

/* A memory that the interpreter has, in the place of one that has none. */
static void make_local(gml_kernel *kernel, gml_mem *whole)
{
    whole->role = GML_MEM_LOCAL;
    whole->number = (unsigned)kernel->locals.count;
    gml_push(kernel->arena, &kernel->locals, whole);
}

/* for p, n: parts[p,n] = sum(r: whole of row p * run + r) */
static gml_stmt *sum_parts(gml_kernel *kernel, const gml_columns *columns, unsigned number)
{
    const gml_column_sum *sum = &columns->sums[number];
    const gml_axis *part = gml_kernel_add_axis(kernel, columns->n_parts);
    const gml_axis *column = gml_kernel_add_axis(kernel, columns->columns);
    int64_t rows = columns->rows / columns->n_parts;
    const gml_axis *row = gml_kernel_add_axis(kernel, rows);
    const gml_expr *at = gml_expr_axis(kernel, part);
    const gml_axis *inner[2] = {row, column};
    for (unsigned i = 0; i < 2; i++)
        at = gml_index_op(kernel, GML_X_ADD,
                          gml_index_op(kernel, GML_X_MUL, at,
                                       gml_expr_int(kernel, GML_I64, inner[i]->extent)),
                          gml_expr_axis(kernel, inner[i]));
    const gml_expr *index[GML_MAX_RANK];
    for (int d = sum->whole->rank; d-- > 0;) {
        const gml_expr *extent = gml_expr_int(kernel, GML_I64, sum->whole->dims[d]);
        index[d] = gml_index_op(kernel, GML_X_FLOORMOD, at, extent);
        at = gml_index_op(kernel, GML_X_FLOORDIV, at, extent);
    }
    const gml_expr *total = gml_expr_reduce(kernel, GML_REDUCE_SUM, &row, 1,
                                            gml_expr_load(kernel, sum->whole, index, NULL));
    const gml_expr *place[2] = {gml_expr_axis(kernel, part), gml_expr_axis(kernel, column)};
    return gml_stmt_for(
        kernel, part,
        gml_stmt_for(kernel, column, gml_stmt_store(kernel, sum->parts, place, total)));
}

static unsigned count_stores(const gml_stmt *list)
{
    unsigned n = 0;
    for (; list; list = list->next)
        n += list->kind == GML_STMT_FOR ? count_stores(list->as.loop.body) : 1;
    return n;
}

/* ---- tests --------------------------------------------------------------------------------
 */

static void check(const sums_case *c)
{
    kit k;
    gml_columns columns;
    size_t n = 0;
    size_t n_again = 0;
    kit_init(&k, c);
    run_place place = {&k.arena, &k.diags};
    const float *before = run_kernel(k.kernel, &place, NULL, &n);
    bool found = gml_columns_find(k.kernel, k.kernel->body, &columns);
    if (found != (c->n_sums > 0) || columns.n_sums != c->n_sums)
        fail_msg("%s: %u sums, not %u", c->name, columns.n_sums, c->n_sums);
    if (found) {
        assert_int_equal(columns.rows, c->rows);
        assert_int_equal(columns.columns, c->columns);
        if (c->n_stores > 0)
            assert_int_equal(count_stores(columns.writer), c->n_stores);
        gml_columns_cut(k.kernel, &columns, 4);
        k.kernel->body = columns.writer;
        for (unsigned i = 0; i < columns.n_sums; i++) {
            make_local(k.kernel, columns.sums[i].whole);
            gml_stmt_append(&k.kernel->body, sum_parts(k.kernel, &columns, i));
            gml_stmt_append(&k.kernel->body, columns.sums[i].rest);
        }
        const float *after = run_kernel(k.kernel, &place, NULL, &n_again);
        assert_int_equal(n, n_again);
        for (size_t i = 0; i < n; i++)
            if (!(fabsf(after[i] - before[i]) <= 1e-4F * (1 + fabsf(before[i]))))
                fail_msg("%s: element %zu is %g, not %g", c->name, i, (double)after[i],
                         (double)before[i]);
    }
    kit_reset(&k);
}

static void writers_sum(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check(&cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(writers_sum)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
