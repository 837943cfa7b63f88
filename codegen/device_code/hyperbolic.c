/* codegen/device_code/hyperbolic.c - hyperbolic functions and their inverses.
 *
 *     sinh    x + x^3 P(x^2) up to 1, (e^x - e^-x) / 2 above
 *     tanh    x + x^3 Q(x^2) up to 0.6, 1 - 2 / (e^2x + 1) above
 *     asinh   log(1 + x + x^2 / (1 + sqrt(1 + x^2)))
 *     acosh   log(1 + t + sqrt(t (2 + t))), t = x - 1
 *     atanh   log(1 + 2 x / (1 - x)) / 2
 *
 * log(1 + u) keeps what 1 + u loses; of large x it is log(x) + log(2). */
#include "codegen/device_code/inner.h"

#define GML_FN_LN2_HIGH 0x1.62e42fefa39efp-1
#define GML_FN_LN2_LOW  0x1.abc9e3b39803fp-56

/* From here on, 1 is nothing beside x^2. */
#define GML_FN_LARGE 0x1p28

static double log_of_one_and(double u)
{
    gml_pair sum = gml_fn_sum(1, u);
    return gml_fn_log_pair(sum.high, sum.low).high;
}

/* log(2 x) for finite x, where 2 x may overflow. */
static double log_of_twice(double x)
{
    gml_pair log = gml_fn_log_pair(x, 0);
    gml_pair sum = gml_fn_sum(log.high, GML_FN_LN2_HIGH);
    return sum.high + (sum.low + (log.low + GML_FN_LN2_LOW));
}

double gml_fn_sinh(double x)
{
    /* of (sinh s - s) / s^3 in z = s^2 over s <= 1, to 2^-56 of the sum */
    static const double p[] = {
        0.16666666666666666,    0.0083333333333333332,  0.00019841269841269773,
        2.755731922404034e-06,  2.5052108364058039e-08, 1.6059048396350562e-10,
        7.6466253616566573e-13, 2.8445264169895285e-15,
    };
    double size = __builtin_fabs(x);
    if (size < GML_FN_TINY)
        return x;
    if (size < 1) {
        double z = x * x;
        return __builtin_fma(x * z, gml_fn_polynomial(z, p, 8), x);
    }
    double half = gml_fn_exp_pair(size, 0, -1);
    return __builtin_copysign(half - 0.25 / half, x);
}

double gml_fn_cosh(double x)
{
    double half = gml_fn_exp_pair(__builtin_fabs(x), 0, -1);
    return half + 0.25 / half;
}

double gml_fn_tanh(double x)
{
    /* of (tanh s - s) / s^3 in z = s^2 over s <= 0.6, to 2^-55 of the sum */
    static const double q[] = {
        -0.33333333333333326,   0.13333333333330188,     -0.053968253964749573,
        0.021869488383472309,   -0.0088632321075641108,  0.0035920831001550568,
        -0.0014554643584226892, 0.00058805231494226491,  -0.00023224645182238709,
        8.1541059790822776e-05, -1.8332274332628754e-05,
    };
    double size = __builtin_fabs(x);
    if (size < GML_FN_TINY)
        return x;
    if (size < 0.6) {
        double z = x * x;
        return __builtin_fma(x * z, gml_fn_polynomial(z, q, 11), x);
    }
    double up = gml_fn_exp_pair(2 * size, 0, 0);
    return __builtin_copysign(1 - 2 / (up + 1), x);
}

double gml_fn_asinh(double x)
{
    double size = __builtin_fabs(x);
    if (!(size < GML_FN_INF) || size < GML_FN_TINY)
        return x;
    if (size > GML_FN_LARGE)
        return __builtin_copysign(log_of_twice(size), x);
    double z = size * size;
    double u = size + z / (1 + __builtin_sqrt(1 + z));
    return __builtin_copysign(log_of_one_and(u), x);
}

double gml_fn_acosh(double x)
{
    if (!(x >= 1))
        return GML_FN_NAN;
    if (x == GML_FN_INF)
        return x;
    if (x > GML_FN_LARGE)
        return log_of_twice(x);
    double t = x - 1;
    return log_of_one_and(t + __builtin_sqrt(t * (2 + t)));
}

double gml_fn_atanh(double x)
{
    double size = __builtin_fabs(x);
    if (size < GML_FN_TINY)
        return x;
    if (!(size < 1))
        return size == 1 ? __builtin_copysign(GML_FN_INF, x) : GML_FN_NAN;
    return __builtin_copysign(log_of_one_and(2 * size / (1 - size)) / 2, x);
}

float gml_fn_sinhf(float x)
{
    return (float)gml_fn_sinh((double)x);
}

float gml_fn_coshf(float x)
{
    return (float)gml_fn_cosh((double)x);
}

float gml_fn_tanhf(float x)
{
    return (float)gml_fn_tanh((double)x);
}

float gml_fn_asinhf(float x)
{
    return (float)gml_fn_asinh((double)x);
}

float gml_fn_acoshf(float x)
{
    return (float)gml_fn_acosh((double)x);
}

float gml_fn_atanhf(float x)
{
    return (float)gml_fn_atanh((double)x);
}
