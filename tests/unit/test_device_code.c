/* tests/unit/test_device_code.c - device code in this process against libm in long double, in
 * ulp. */
#include "codegen/device_code/device_code.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define F32_BOUND 0.51
#define F64_BOUND 2.5
#define N         100000

static uint64_t state;

/* splitmix64 */
static uint64_t draw(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static double draw_between(double low, double high)
{
    return low + (high - low) * ((double)(draw() >> 11) * 0x1p-53);
}

/* Any number, its exponent as likely as another. */
static double draw_bits(void)
{
    uint64_t bits = draw();
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float draw_float_bits(void)
{
    uint32_t bits = (uint32_t)draw();
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ---- errors -------------------------------------------------------------------------------
 */

/* Of numbers as large as `exact` in a format of `digits` bits whose smallest is 2^least. */
static long double spacing(long double exact, int digits, int least)
{
    int exponent = 0;
    frexpl(exact, &exponent);
    exponent -= digits;
    return ldexpl(1, exact == 0 || exponent < least ? least : exponent);
}

/* `rounded` is what the exact value is in the format; what is not close must be it. */
static double distance(double got, double rounded, long double exact, long double ulp)
{
    if (isnan(rounded) || isnan(got))
        return isnan(rounded) && isnan(got) ? 0 : 1e9;
    if (isinf(rounded) || isinf(got))
        return rounded == got ? 0 : 1e9;
    if (rounded == 0 && got == 0)
        return signbit(rounded) == signbit(got) ? 0 : 1e9;
    return (double)(fabsl((long double)got - exact) / ulp);
}

static double ulps(double got, long double exact)
{
    return distance(got, (double)exact, exact, spacing(exact, 53, -1074));
}

static double float_ulps(float got, long double exact)
{
    return distance((double)got, (double)(float)exact, exact, spacing(exact, 24, -149));
}

/* ---- functions of one argument ------------------------------------------------------------
 */

typedef struct row {
    const char *name;
    double (*of_double)(double);
    float (*of_float)(float);
    long double (*exact)(long double);
    double ranges[3][2]; /* where it is interesting */
} row;

static const row rows[] = {
#define ROW(name) #name, gml_fn_##name, gml_fn_##name##f, name##l
    {ROW(acos), {{-1, 1}, {0.99, 1.01}, {-1, -0.99}}},
    {ROW(acosh), {{1, 10}, {1, 1.001}, {1e7, 1e9}}},
    {ROW(asin), {{-1, 1}, {0.99, 1.01}, {-0.01, 0.01}}},
    {ROW(asinh), {{-3, 3}, {-0.01, 0.01}, {1e7, 1e9}}},
    {ROW(atan), {{-3, 3}, {-100, 100}, {-0.01, 0.01}}},
    {ROW(atanh), {{-1, 1}, {0.99, 1.01}, {-0.01, 0.01}}},
    {ROW(cos), {{-7, 7}, {-1e4, 1e4}, {1e9, 1e10}}},
    {ROW(cosh), {{-2, 2}, {-90, 90}, {700, 712}}},
    {ROW(erf), {{-1, 1}, {-6.5, 6.5}, {-0.01, 0.01}}},
    {ROW(exp), {{-1, 1}, {-110, 90}, {-750, 711}}},
    {ROW(log), {{0.5, 2}, {0.99, 1.01}, {0, 1e6}}},
    {ROW(sin), {{-7, 7}, {-1e4, 1e4}, {1e9, 1e10}}},
    {ROW(sinh), {{-2, 2}, {-90, 90}, {700, 712}}},
    {ROW(tan), {{-7, 7}, {-1e4, 1e4}, {1e9, 1e10}}},
    {ROW(tanh), {{-1, 1}, {-25, 25}, {-0.01, 0.01}}},
#undef ROW
};

static double draw_argument(const row *r, int i)
{
    if (i % 4 == 3)
        return draw_bits();
    return draw_between(r->ranges[i % 4][0], r->ranges[i % 4][1]);
}

static void functions_are_close(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        const row *r = &rows[k];
        double worst = 0;
        double worst_float = 0;
        double at = 0;
        float at_float = 0;
        state = k;
        for (int i = 0; i < N; i++) {
            double x = draw_argument(r, i);
            double error = ulps(r->of_double(x), r->exact((long double)x));
            if (error > worst) {
                worst = error;
                at = x;
            }
            float y = i % 4 == 3 ? draw_float_bits() : (float)x;
            error = float_ulps(r->of_float(y), r->exact((long double)y));
            if (error > worst_float) {
                worst_float = error;
                at_float = y;
            }
        }
        print_message("%-6s %.3f ulp at %.17g, float %.3f ulp at %.9g\n", r->name, worst, at,
                      worst_float, (double)at_float);
        assert_true(worst < F64_BOUND);
        assert_true(worst_float < F32_BOUND);
    }
}

static const double specials[] = {
    0.0,
    -0.0,
    1,
    -1,
    INFINITY,
    -INFINITY,
    NAN,
    0x1p-1074,
    -0x1p-1074,
    0x1p-1022,
    0x1p1023,
    0x1.fffffffffffffp1023,
    -0x1.fffffffffffffp1023,
    0x1p-149,
    -0x1p-149,
    2,
    -2,
    0.5,
    -0.5,
    3,
    -3,
    1e300,
    -1e300,
    0x1p53,
    -0x1p53,
    0x1.fffffffffffffp52,
    1e22,
    0x1p30,
    0.785,
    6381956970095103 * 0x1p797, /* the double next to a multiple of pi/2 */
    1.5,
    -1.5,
    0x1.fffffffffffffp-1,
    0x1.0000000000001p0,
    0x1p-28,
    745.2,
    -745.2,
    709.9,
};
#define N_SPECIALS (sizeof specials / sizeof *specials)

static void special_values_are_those_of_c(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++)
        for (size_t i = 0; i < N_SPECIALS; i++) {
            double x = specials[i];
            float y = (float)x;
            double error = ulps(rows[k].of_double(x), rows[k].exact((long double)x));
            double float_error = float_ulps(rows[k].of_float(y), rows[k].exact((long double)y));
            if (!(error < F64_BOUND && float_error < F32_BOUND))
                fail_msg("%s of %a: %g, %g ulp", rows[k].name, x, error, float_error);
        }
}

/* ---- pow and fmod -------------------------------------------------------------------------
 */

static double worst_power(double x, double y, double worst)
{
    double error = ulps(gml_fn_pow(x, y), powl((long double)x, (long double)y));
    float a = (float)x;
    float b = (float)y;
    double float_error = float_ulps(gml_fn_powf(a, b), powl((long double)a, (long double)b));
    if (!(error < F64_BOUND && float_error < F32_BOUND))
        fail_msg("pow(%a, %a): %g, %g ulp", x, y, error, float_error);
    return error > worst ? error : worst;
}

static void powers_are_close(void **unused)
{
    (void)unused;
    double worst = 0;
    state = 1;
    for (int i = 0; i < 4 * N; i++) {
        double x = i % 2 ? fabs(draw_bits()) : draw_between(0, 4);
        double y = draw_between(-20, 20);
        if (i % 4 >= 2) /* results of all sizes */
            y = draw_between(-760, 720) / log(x);
        if (i % 8 == 7)
            y = draw_bits();
        if (i % 8 == 4) {
            x = draw_between(-10, 10);
            y = rint(y);
        }
        worst = worst_power(x, y, worst);
    }
    for (size_t i = 0; i < N_SPECIALS; i++)
        for (size_t j = 0; j < N_SPECIALS; j++)
            worst = worst_power(specials[i], specials[j], worst);
    print_message("pow    %.3f ulp\n", worst);
}

static void check_modulo(double x, double y)
{
    float a = (float)x;
    float b = (float)y;
    double error = ulps(gml_fn_fmod(x, y), (long double)fmod(x, y));
    double float_error = float_ulps(gml_fn_fmodf(a, b), (long double)fmodf(a, b));
    if (error != 0 || float_error != 0)
        fail_msg("fmod(%a, %a) is %a", x, y, gml_fn_fmod(x, y));
}

static void modulo_is_exact(void **unused)
{
    (void)unused;
    state = 2;
    for (int i = 0; i < N; i++) {
        check_modulo(draw_bits(), draw_bits());
        check_modulo((double)draw_float_bits(), (double)draw_float_bits());
        check_modulo(draw_between(-100, 100), draw_between(-10, 10));
        check_modulo(rint(draw_between(-100, 100)), rint(draw_between(-10, 10)));
    }
    for (size_t i = 0; i < N_SPECIALS; i++)
        for (size_t j = 0; j < N_SPECIALS; j++)
            check_modulo(specials[i], specials[j]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_close),
        cmocka_unit_test(special_values_are_those_of_c),
        cmocka_unit_test(powers_are_close),
        cmocka_unit_test(modulo_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
