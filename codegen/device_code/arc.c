/* codegen/device_code/arc.c - inverse functions of sine, cosine, tangent.
 *
 *     asin x = x + x^3 P(x^2) up to 1/2; above, pi/2 - 2 asin(sqrt((1 - x) / 2))
 *     atan x = x + x^3 Q(x^2) up to tan(pi/8); above, pi/4 + atan((x - 1) / (x + 1)) and
 *              pi/2 + atan(-1 / x)
 *
 * The square root is a pair: its error would be doubled. */
#include "codegen/device_code/inner.h"

/* x^2 P(x^2): what asin x is above x, as a part of x; z = x^2 up to 1/4. */
static double asin_excess(double z)
{
    /* of (asin s - s) / s^3, to 2^-57 of the sum */
    static const double p[] = {
        0.16666666666666669,   0.074999999999984246, 0.04464285714637338,
        0.030381944137085216,  0.022372173002005596, 0.017352391265909227,
        0.013971235301124539,  0.011478952690257387, 0.010324318288744113,
        0.0054508781877205502, 0.017419357964884856, -0.014881409392818066,
        0.02877844261259304,
    };
    return z * gml_fn_polynomial(z, p, 13);
}

/* asin(sqrt(z)) for z up to 1/4. */
static gml_pair asin_of_root(double z)
{
    double s = __builtin_sqrt(z);
    double low = s == 0 ? 0 : __builtin_fma(-s, s, z) / (2 * s);
    return (gml_pair){s, __builtin_fma(s, asin_excess(z), low)};
}

double gml_fn_asin(double x)
{
    double size = __builtin_fabs(x);
    if (size < GML_FN_TINY)
        return x;
    if (size <= 0.5)
        return __builtin_fma(x, asin_excess(x * x), x);
    if (!(size <= 1))
        return GML_FN_NAN;
    gml_pair half = asin_of_root((1 - size) / 2);
    gml_pair sum = gml_fn_sum(GML_FN_HALF_PI_HIGH, -2 * half.high);
    double y = sum.high + (sum.low + __builtin_fma(-2, half.low, GML_FN_HALF_PI_LOW));
    return __builtin_copysign(y, x);
}

double gml_fn_acos(double x)
{
    double size = __builtin_fabs(x);
    if (size <= 0.5) {
        gml_pair sum = gml_fn_sum(GML_FN_HALF_PI_HIGH, -x);
        return sum.high + (sum.low + __builtin_fma(-x, asin_excess(x * x), GML_FN_HALF_PI_LOW));
    }
    if (!(size <= 1))
        return GML_FN_NAN;
    gml_pair half = asin_of_root((1 - size) / 2);
    if (x > 0)
        return 2 * (half.high + half.low);
    gml_pair sum = gml_fn_sum(2 * GML_FN_HALF_PI_HIGH, -2 * half.high);
    return sum.high + (sum.low + 2 * (GML_FN_HALF_PI_LOW - half.low));
}

double gml_fn_atan(double x)
{
    /* of (atan s - s) / s^3 in z = s^2 over s <= tan(pi/8), to 2^-57 of the sum */
    static const double q[] = {
        -0.33333333333333331,  0.1999999999999548,    -0.14285714284657894,
        0.11111111014561013,   -0.090909045498846111, 0.076921825351166484,
        -0.066645022156714473, 0.058580687568615106,  -0.050850304928109408,
        0.039219552532551293,  -0.019162068915902573,
    };
    double size = __builtin_fabs(x);
    double t = size;
    gml_pair base = {0, 0};
    if (x != x || size < GML_FN_TINY)
        return x;
    if (size > 2.4142135623730949) {
        t = -1 / size;
        base = (gml_pair){GML_FN_HALF_PI_HIGH, GML_FN_HALF_PI_LOW};
    } else if (size > 0.41421356237309503) {
        t = (size - 1) / (size + 1);
        base = (gml_pair){GML_FN_HALF_PI_HIGH / 2, GML_FN_HALF_PI_LOW / 2};
    }
    double z = t * t;
    double excess = __builtin_fma(t * z, gml_fn_polynomial(z, q, 11), base.low);
    gml_pair sum = gml_fn_sum(base.high, t);
    return __builtin_copysign(sum.high + (sum.low + excess), x);
}

float gml_fn_asinf(float x)
{
    return (float)gml_fn_asin((double)x);
}

float gml_fn_acosf(float x)
{
    return (float)gml_fn_acos((double)x);
}

float gml_fn_atanf(float x)
{
    return (float)gml_fn_atan((double)x);
}
