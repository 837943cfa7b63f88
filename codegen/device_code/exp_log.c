/* codegen/device_code/exp_log.c - exponential and logarithm, of pairs too.
 *
 *     exp   2^n (1 + r + r^2 P(r)),  r = x - n ln 2,  |r| <= ln 2 / 2
 *     log   n ln 2 + log m, m in [sqrt(1/2), sqrt(2));  with s = (m - 1) / (m + 1)
 *           log m = 2 s + s^3 (2/3 + s^2 Q(s^2)), all but s^2 Q in pairs: s^2 Q is below 2^-6
 * of 2/3, and the term below 2^-6 of 2 s, so that the error is some 2^-65.
 *
 * ln 2 is the sum of GML_FN_LN2_HIGH, of 42 bits, so that n GML_FN_LN2_HIGH is exact, and
 * GML_FN_LN2_LOW. */
#include "codegen/device_code/inner.h"

#define GML_FN_LN2_HIGH 0x1.62e42fefa3800p-1
#define GML_FN_LN2_LOW  0x1.ef35793c76730p-45

double gml_fn_exp_pair(double high, double low, int scale)
{
    /* of (e^r - 1 - r) / r^2 over |r| <= ln 2 / 2, to 2^-61 of the sum */
    static const double p[] = {
        0.5,
        0.16666666666666666,
        0.041666666666666678,
        0.0083333333333333332,
        0.0013888888888879004,
        0.00019841269841263252,
        2.4801587336630949e-05,
        2.7557319247344507e-06,
        2.755726307730941e-07,
        2.5052070959803662e-08,
        2.091821231913398e-09,
        1.6086677666787362e-10,
    };
    if (high != high)
        return high;
    /* beyond, the result is 0 or infinity already */
    if (__builtin_fabs(high) > 800) {
        high = high > 0 ? 800 : -800;
        low = 0;
    }
    double n = __builtin_rint(high * 1.4426950408889634);
    double from_high = __builtin_fma(n, -GML_FN_LN2_HIGH, high);
    double from_low = __builtin_fma(n, -GML_FN_LN2_LOW, low);
    gml_pair r = gml_fn_sum(from_high, from_low);
    double q = __builtin_fma(r.high * r.high, gml_fn_polynomial(r.high, p, 12), r.low);
    double y = 1 + (r.high + q);
    /* 2^n in two steps reaches denormals and infinity */
    int whole = (int)n + scale;
    int half = whole / 2;
    return y * gml_fn_power_of_two(half) * gml_fn_power_of_two(whole - half);
}

/* log m as 2 s + s^3 (2/3 + z Q(z)), z = s^2; `f` is m - 1. The low part is not normalised. */
static gml_pair log_of_mantissa(double f)
{
    /* of ((2 atanh(s) - 2 s) / s^3 - 2/3) / z over z <= 0.0295, to 2^-62 of the sum */
    static const double q[] = {
        0.4000000000000003,  0.28571428571338009, 0.22222222271326808, 0.18181808210921882,
        0.15385577463308145, 0.13285868837545742, 0.1291471218393509,
    };
    gml_pair d = gml_fn_ordered_sum(2, f);
    double s = f / d.high;
    double s_low = (__builtin_fma(-s, d.high, f) - s * d.low) / d.high;
    gml_pair z = gml_fn_product(s, s);
    z.low = __builtin_fma(2 * s, s_low, z.low);
    gml_pair cube = gml_fn_product(z.high, s);
    cube.low += z.high * s_low + z.low * s;
    gml_pair k =
        gml_fn_ordered_sum(0x1.5555555555555p-1, z.high * gml_fn_polynomial(z.high, q, 7));
    k.low += 0x1.5555555555555p-55;
    gml_pair term = gml_fn_product(cube.high, k.high);
    term.low += cube.high * k.low + cube.low * k.high;
    gml_pair sum = gml_fn_ordered_sum(2 * s, term.high);
    sum.low += __builtin_fma(2, s_low, term.low);
    return sum;
}

gml_pair gml_fn_log_pair(double high, double low)
{
    int exponent = 0;
    double relative = low / high;
    if (high < 0x1p-1022) {
        high *= 0x1p54;
        exponent = -54;
    }
    /* the mantissa in [sqrt(1/2), sqrt(2)), so that near 1 nothing cancels */
    uint64_t above = gml_fn_bits(high) - gml_fn_bits(0.70710678118654757);
    int n = (int)((int64_t)above >> 52);
    double m = gml_fn_from_bits(gml_fn_bits(high) - ((uint64_t)(int64_t)n << 52));
    gml_pair log_m = log_of_mantissa(m - 1);
    double whole = n + exponent;
    gml_pair sum = gml_fn_sum(whole * GML_FN_LN2_HIGH, log_m.high);
    sum.low += __builtin_fma(whole, GML_FN_LN2_LOW, log_m.low) + relative;
    return gml_fn_ordered_sum(sum.high, sum.low);
}

double gml_fn_exp(double x)
{
    return gml_fn_exp_pair(x, 0, 0);
}

double gml_fn_log(double x)
{
    if (x != x || x == GML_FN_INF)
        return x;
    if (x <= 0)
        return x == 0 ? -GML_FN_INF : GML_FN_NAN;
    return gml_fn_log_pair(x, 0).high;
}

float gml_fn_expf(float x)
{
    return (float)gml_fn_exp((double)x);
}

float gml_fn_logf(float x)
{
    return (float)gml_fn_log((double)x);
}
