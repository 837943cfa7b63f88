/* tests/unit/test_loop.c - index simplification, placing, and generated code against the
 * interpreter. */
#include "codegen/codegen.h"
#include "ir/eval.h"
#include "ir/loop.h"
#include "ir/lower.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct kit {
    gml_arena arena;
    gml_diags diags;
    gml_dim_pool dims;
    gml_kernel *kernel;
    gml_lower x;
} kit;

static void kit_init(kit *k)
{
    memset(k, 0, sizeof *k);
    gml_arena_init(&k->arena);
    gml_diags_init(&k->diags, &k->arena);
    gml_dim_pool_init(&k->dims, &k->arena);
    k->kernel = gml_kernel_create(&k->arena, &k->dims, "test");
    k->x.kernel = k->kernel;
}

static void kit_reset(kit *k)
{
    gml_arena_reset(&k->arena);
}

static const gml_expr *axis(kit *k, gml_dim extent)
{
    return gml_expr_axis(k->kernel, gml_kernel_add_axis(k->kernel, extent));
}

static void flatten_and_unflatten_cancel(void **state)
{
    (void)state;
    kit k;
    kit_init(&k);
    gml_dim dims[3] = {5, 7, 9};
    const gml_expr *index[3] = {axis(&k, 5), axis(&k, 7), axis(&k, 9)};
    const gml_expr *back[3];
    gml_unflatten(&k.x, gml_flatten(&k.x, 3, dims, index), 3, dims, back);
    for (int d = 0; d < 3; d++)
        assert_ptr_equal(back[d], index[d]);
    kit_reset(&k);
}

static void symbolic_flatten_and_unflatten_cancel(void **state)
{
    (void)state;
    kit k;
    kit_init(&k);
    gml_dim dims[3] = {gml_dim_symbol(&k.dims, "a"), gml_dim_symbol(&k.dims, "b"), 9};
    const gml_expr *index[3] = {axis(&k, dims[0]), axis(&k, dims[1]), axis(&k, 9)};
    const gml_expr *back[3];
    gml_unflatten(&k.x, gml_flatten(&k.x, 3, dims, index), 3, dims, back);
    for (int d = 0; d < 3; d++)
        assert_ptr_equal(back[d], index[d]);
    kit_reset(&k);
}

static void merged_axes_flatten_to_one(void **state)
{
    (void)state;
    kit k;
    kit_init(&k);
    const gml_expr *n = axis(&k, 35);
    const gml_expr *seven = gml_i64(&k.x, 7);
    const gml_expr *parts[2] = {gml_floordiv(&k.x, n, seven), gml_floormod(&k.x, n, seven)};
    gml_dim dims[2] = {5, 7};
    assert_ptr_equal(gml_flatten(&k.x, 2, dims, parts), n);
    kit_reset(&k);
}

static void bounds_decide_comparisons(void **state)
{
    (void)state;
    kit k;
    kit_init(&k);
    gml_dim n = gml_dim_symbol(&k.dims, "n");
    const gml_expr *i = axis(&k, n);
    const gml_expr *j = axis(&k, 8);
    assert_true(gml_expr_is_int(gml_in_range(&k.x, i, n), 1));
    assert_true(gml_expr_is_int(gml_lt(&k.x, j, gml_i64(&k.x, 8)), 1));
    assert_true(gml_expr_is_int(gml_lt(&k.x, gml_i64(&k.x, 7), j), 0));
    assert_int_equal(gml_lt(&k.x, j, gml_i64(&k.x, 7))->kind, GML_EXPR_SCALAR);
    assert_ptr_equal(gml_min(&k.x, j, gml_i64(&k.x, 9)), j);
    kit_reset(&k);
}

static void equal_expressions_are_one(void **state)
{
    (void)state;
    kit k;
    kit_init(&k);
    const gml_expr *i = axis(&k, 8);
    const gml_expr *j = axis(&k, 8);
    assert_ptr_equal(gml_add(&k.x, i, j), gml_add(&k.x, j, i));
    assert_ptr_equal(gml_sub(&k.x, gml_add(&k.x, i, j), j), i);
    kit_reset(&k);
}

/* y[i,j] = exp(x[i,j] - max) / sum, as Softmax pulls it. */
static void build_softmax(kit *k, int64_t rows, int64_t columns)
{
    gml_kernel *kernel = k->kernel;
    gml_dim dims[2] = {rows, columns};
    gml_mem *in = gml_kernel_add_mem(kernel, GML_MEM_INPUT, "x", GML_F32, 2, dims);
    gml_mem *out = gml_kernel_add_mem(kernel, GML_MEM_OUTPUT, "y", GML_F32, 2, dims);
    gml_axis *axes[5];
    for (int i = 0; i < 5; i++)
        axes[i] = gml_kernel_add_axis(kernel, i == 0 ? rows : columns);
    const gml_expr *shifted[3];
    for (int i = 0; i < 2; i++) {
        /* one for the numerator, one under the sum, each with its own maximum */
        const gml_axis *own = axes[i == 0 ? 1 : 2];
        const gml_expr *at[2] = {gml_expr_axis(kernel, axes[0]), gml_expr_axis(kernel, own)};
        const gml_expr *below[2] = {at[0], gml_expr_axis(kernel, axes[3 + i])};
        const gml_expr *most = gml_reduce(&k->x, GML_REDUCE_MAX, axes[3 + i],
                                          gml_expr_load(kernel, in, below, NULL));
        shifted[i] = gml_unary(&k->x, GML_X_EXP,
                               gml_sub(&k->x, gml_expr_load(kernel, in, at, NULL), most));
    }
    const gml_expr *index[2] = {gml_expr_axis(kernel, axes[0]), gml_expr_axis(kernel, axes[1])};
    const gml_expr *value =
        gml_div(&k->x, shifted[0], gml_reduce(&k->x, GML_REDUCE_SUM, axes[2], shifted[1]));
    kernel->body =
        gml_stmt_for(kernel, axes[0],
                     gml_stmt_for(kernel, axes[1], gml_stmt_store(kernel, out, index, value)));
}

static void softmax_places_its_reductions(void **state)
{
    (void)state;
    kit k;
    kit_init(&k);
    build_softmax(&k, 6, 37);
    gml_kernel_place(k.kernel);
    /* the two maxima are alike and become one; the sum is the other */
    assert_int_equal(k.kernel->locals.count, 2);
    const gml_stmt *rows = k.kernel->body;
    assert_null(rows->next);
    assert_int_equal(rows->as.loop.body->kind, GML_STMT_STORE);
    kit_reset(&k);
}

static void fill(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((int)(i * 37 % 101) - 50) / 25.0F;
}

static void interpreter_computes_softmax(void **state)
{
    (void)state;
    kit k;
    kit_init(&k);
    build_softmax(&k, 6, 300);
    gml_kernel_place(k.kernel);
    static float x[6 * 300];
    static float y[6 * 300];
    fill(x, 6 * 300);
    void *inputs[1] = {x};
    void *outputs[1] = {y};
    gml_eval_args args = {inputs, outputs, NULL};
    assert_int_equal(gml_kernel_eval(k.kernel, &args, &k.diags, (gml_loc){0}), GML_OK);
    for (int i = 0; i < 6; i++) {
        double sum = 0;
        for (int j = 0; j < 300; j++)
            sum += exp((double)x[i * 300 + j]);
        for (int j = 0; j < 300; j++)
            assert_true(fabs((double)y[i * 300 + j] - exp((double)x[i * 300 + j]) / sum) <
                        1e-7);
    }
    kit_reset(&k);
}

static void interpreter_checks_bounds(void **state)
{
    (void)state;
    kit k;
    kit_init(&k);
    gml_dim n = 4;
    gml_mem *in = gml_kernel_add_mem(k.kernel, GML_MEM_INPUT, "x", GML_F32, 1, &n);
    gml_mem *out = gml_kernel_add_mem(k.kernel, GML_MEM_OUTPUT, "y", GML_F32, 1, &n);
    gml_axis *i = gml_kernel_add_axis(k.kernel, n);
    const gml_expr *at[1] = {gml_expr_axis(k.kernel, i)};
    const gml_expr *beyond[1] = {gml_add(&k.x, at[0], gml_i64(&k.x, 1))};
    k.kernel->body = gml_stmt_for(
        k.kernel, i,
        gml_stmt_store(k.kernel, out, at, gml_expr_load(k.kernel, in, beyond, NULL)));
    float x[4] = {1, 2, 3, 4};
    float y[4];
    void *inputs[1] = {x};
    void *outputs[1] = {y};
    gml_eval_args args = {inputs, outputs, NULL};
    assert_int_equal(gml_kernel_eval(k.kernel, &args, &k.diags, (gml_loc){0}), GML_E_RANGE);
    kit_reset(&k);
}

#ifdef GML_HAVE_LLVM

static void run_code(kit *k, const gml_code *code, const gml_jit *jit, void **mems, int units)
{
    (void)k;
    void *all[16];
    memcpy(all, mems, 3 * sizeof *mems);
    for (unsigned i = 0; i < code->n_temporaries; i++)
        all[3 + i] = aligned_alloc(64, (size_t)code->temporaries[i] + 64);
    void *scratch = aligned_alloc(64, (size_t)code->scratch / 64 * 64 + 64);
    for (unsigned i = 0; i < code->n_phases; i++) {
        gml_phase_fn run = gml_jit_find(jit, code->phases[i].symbol);
        assert_non_null(run);
        /* in pieces, last first: units may run in any order */
        for (int64_t end = code->phases[i].extent; end > 0; end -= units)
            run(all, NULL, end > units ? end - units : 0, end, scratch);
    }
    free(scratch);
    for (unsigned i = 0; i < code->n_temporaries; i++)
        free(all[3 + i]);
}

/* y[i,j] = relu(sum(k: a[i,k] * b[k,j])): generated code against the interpreter. */
static void check_product(int64_t m, int64_t n, int64_t depth, bool transposed)
{
    kit k;
    gml_code code;
    gml_codegen *codegen = NULL;
    gml_jit *jit = NULL;
    kit_init(&k);
    gml_kernel *kernel = k.kernel;
    gml_dim da[2] = {m, depth};
    gml_dim db[2] = {transposed ? n : depth, transposed ? depth : n};
    gml_dim dy[2] = {m, n};
    gml_mem *a = gml_kernel_add_mem(kernel, GML_MEM_INPUT, "a", GML_F32, 2, da);
    gml_mem *b = gml_kernel_add_mem(kernel, GML_MEM_INPUT, "b", GML_F32, 2, db);
    gml_mem *y = gml_kernel_add_mem(kernel, GML_MEM_OUTPUT, "y", GML_F32, 2, dy);
    gml_axis *ai = gml_kernel_add_axis(kernel, m);
    gml_axis *aj = gml_kernel_add_axis(kernel, n);
    gml_axis *ak = gml_kernel_add_axis(kernel, depth);
    const gml_expr *i = gml_expr_axis(kernel, ai);
    const gml_expr *j = gml_expr_axis(kernel, aj);
    const gml_expr *p = gml_expr_axis(kernel, ak);
    const gml_expr *ip[2] = {i, p};
    const gml_expr *pj[2] = {transposed ? j : p, transposed ? p : j};
    const gml_expr *ij[2] = {i, j};
    const gml_expr *sum = gml_reduce(
        &k.x, GML_REDUCE_SUM, ak,
        gml_mul(&k.x, gml_expr_load(kernel, a, ip, NULL), gml_expr_load(kernel, b, pj, NULL)));
    const gml_expr *value = gml_max(&k.x, sum, gml_like(&k.x, sum, 0));
    kernel->body = gml_stmt_for(kernel, ai,
                                gml_stmt_for(kernel, aj, gml_stmt_store(kernel, y, ij, value)));
    float *x = calloc((size_t)(m * depth + depth * n + 2 * m * n), sizeof *x);
    float *w = x + m * depth;
    float *expected = w + depth * n;
    float *got = expected + m * n;
    fill(x, (size_t)(m * depth));
    fill(w, (size_t)(depth * n));
    void *inputs[2] = {x, w};
    void *outputs[1] = {expected};
    gml_eval_args args = {inputs, outputs, NULL};
    assert_int_equal(gml_kernel_eval(kernel, &args, &k.diags, (gml_loc){0}), GML_OK);
    assert_int_equal(gml_codegen_create(NULL, &codegen, &k.diags), GML_OK);
    assert_int_equal(gml_codegen_add(codegen, kernel, 0, &code, &k.diags), GML_OK);
    assert_int_equal(gml_codegen_jit(codegen, &jit, &k.diags), GML_OK);
    void *mems[3] = {x, w, got};
    run_code(&k, &code, jit, mems, 3);
    for (int64_t e = 0; e < m * n; e++)
        assert_true(fabs((double)got[e] - (double)expected[e]) <= 1e-6 * (double)depth);
    free(x);
    gml_jit_destroy(jit);
    gml_codegen_destroy(codegen);
    kit_reset(&k);
}

static void products_agree_with_the_interpreter(void **state)
{
    (void)state;
    check_product(1, 1, 1, false);
    check_product(3, 17, 5, false);
    check_product(14, 32, 64, false);
    check_product(15, 33, 65, false);
    check_product(29, 100, 71, true);
    check_product(197, 70, 48, false);
    check_product(5, 1000, 9, false);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flatten_and_unflatten_cancel),
        cmocka_unit_test(symbolic_flatten_and_unflatten_cancel),
        cmocka_unit_test(merged_axes_flatten_to_one),
        cmocka_unit_test(bounds_decide_comparisons),
        cmocka_unit_test(equal_expressions_are_one),
        cmocka_unit_test(softmax_places_its_reductions),
        cmocka_unit_test(interpreter_computes_softmax),
        cmocka_unit_test(interpreter_checks_bounds),
#ifdef GML_HAVE_LLVM
        cmocka_unit_test(products_agree_with_the_interpreter),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
