/* tests/unit/test_math.c - generated mathematics against libm in double precision, in ulp. */
#include "codegen/codegen.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#ifdef GML_HAVE_LLVM

#    define N 4096

typedef struct kit {
    gml_arena arena;
    gml_diags diags;
    gml_dim_pool dims;
    gml_codegen *codegen;
    gml_jit *jit;
    gml_phase_fn run;
} kit;

/* y[i] = op(x[i]) */
static void kit_init(kit *k, gml_scalar_op op)
{
    gml_code code;
    gml_dim n = N;
    gml_arena_init(&k->arena);
    gml_diags_init(&k->diags, &k->arena);
    gml_dim_pool_init(&k->dims, &k->arena);
    gml_kernel *kernel = gml_kernel_create(&k->arena, &k->dims, "math");
    gml_mem *x = gml_kernel_add_mem(kernel, GML_MEM_INPUT, "x", GML_F32, 1, &n);
    gml_mem *y = gml_kernel_add_mem(kernel, GML_MEM_OUTPUT, "y", GML_F32, 1, &n);
    gml_axis *axis = gml_kernel_add_axis(kernel, n);
    const gml_expr *index[1] = {gml_expr_axis(kernel, axis)};
    const gml_expr *args[3] = {gml_expr_load(kernel, x, index, NULL), NULL, NULL};
    const gml_expr *value = gml_expr_scalar(kernel, op, GML_F32, 0, args);
    kernel->body = gml_stmt_for(kernel, axis, gml_stmt_store(kernel, y, index, value));
    assert_int_equal(gml_codegen_create(NULL, &k->codegen, &k->diags), GML_OK);
    assert_int_equal(gml_codegen_add(k->codegen, kernel, 0, &code, &k->diags), GML_OK);
    assert_int_equal(code.n_phases, 1);
    assert_int_equal(gml_codegen_jit(k->codegen, &k->jit, &k->diags), GML_OK);
    k->run = gml_jit_find(k->jit, code.phases[0].symbol);
    assert_non_null(k->run);
}

static void kit_reset(kit *k)
{
    gml_jit_destroy(k->jit);
    gml_codegen_destroy(k->codegen);
    gml_arena_reset(&k->arena);
}

static double ulps(float got, double exact)
{
    float rounded = (float)exact;
    if (isnan(exact))
        return isnan(got) ? 0 : 1e9;
    if (isinf(rounded) || isinf(got))
        return rounded == got ? 0 : 1e9;
    double spacing = (double)(nextafterf(fabsf(rounded), INFINITY) - fabsf(rounded));
    return fabs((double)got - exact) / spacing;
}

/* The largest error over 262144 values from `low` to `high`, evenly spaced. */
static double worst(kit *k, double (*exact)(double), float low, float high)
{
    static float x[N];
    static float y[N];
    double most = 0;
    for (int part = 0; part < 64; part++) {
        for (int i = 0; i < N; i++) {
            double t = ((double)part * N + i) / (64.0 * N - 1);
            x[i] = (float)((double)low + ((double)high - (double)low) * t);
        }
        void *mems[2] = {x, y};
        k->run(mems, NULL, 0, 1, NULL);
        for (int i = 0; i < N; i++) {
            double error = ulps(y[i], exact((double)x[i]));
            most = error > most ? error : most;
        }
    }
    return most;
}

static float at(kit *k, float value)
{
    static float x[N];
    static float y[N];
    x[0] = value;
    void *mems[2] = {x, y};
    k->run(mems, NULL, 0, 1, NULL);
    return y[0];
}

static void exp_is_close(void **state)
{
    (void)state;
    kit k;
    kit_init(&k, GML_X_EXP);
    assert_true(worst(&k, exp, -87, 88.7F) < 1.1);
    assert_true(worst(&k, exp, -1, 1) < 1.1);
    assert_true(at(&k, 0) == 1.0F);
    assert_true(isinf(at(&k, 89)));
    assert_true(isinf(at(&k, INFINITY)));
    assert_true(at(&k, -INFINITY) == 0);
    assert_true(at(&k, -100) > 0); /* denormal */
    assert_true(isnan(at(&k, NAN)));
    kit_reset(&k);
}

static void log_is_close(void **state)
{
    (void)state;
    kit k;
    kit_init(&k, GML_X_LOG);
    assert_true(worst(&k, log, 1e-30F, 1e30F) < 0.8);
    assert_true(worst(&k, log, 0.5F, 2) < 0.8);
    assert_true(worst(&k, log, 1e-44F, 1e-38F) < 0.8);
    assert_true(at(&k, 1) == 0);
    assert_true(at(&k, 0) == -INFINITY);
    assert_true(at(&k, INFINITY) == INFINITY);
    assert_true(isnan(at(&k, -1)));
    assert_true(isnan(at(&k, NAN)));
    kit_reset(&k);
}

static void erf_is_close(void **state)
{
    (void)state;
    kit k;
    kit_init(&k, GML_X_ERF);
    assert_true(worst(&k, erf, -5, 5) < 1.2);
    assert_true(worst(&k, erf, -1e-3F, 1e-3F) < 1.2);
    assert_true(at(&k, INFINITY) == 1.0F);
    assert_true(at(&k, -INFINITY) == -1.0F);
    assert_true(isnan(at(&k, NAN)));
    kit_reset(&k);
}

static void tanh_is_close(void **state)
{
    (void)state;
    kit k;
    kit_init(&k, GML_X_TANH);
    assert_true(worst(&k, tanh, -10, 10) < 1.3);
    assert_true(worst(&k, tanh, -1e-3F, 1e-3F) < 1.3);
    assert_true(at(&k, INFINITY) == 1.0F);
    assert_true(at(&k, -INFINITY) == -1.0F);
    assert_true(isnan(at(&k, NAN)));
    kit_reset(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_close),
        cmocka_unit_test(log_is_close),
        cmocka_unit_test(erf_is_close),
        cmocka_unit_test(tanh_is_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 77; /* no code can be generated in this build */
}

#endif
