/* codegen/device_code/power.c - x^y as exp(y log |x|), the product and the logarithm in pairs:
 * y log |x| is up to 745, so that the logarithm's 2^-64 becomes a third of an ulp of the
 * result.
 */
#include "codegen/device_code/inner.h"

/* Whether y is an odd integer; from 2^53 on all are even. */
static bool is_odd(double y)
{
    return __builtin_fabs(y) < 0x1p53 && __builtin_trunc(y) == y && ((int64_t)y & 1) != 0;
}

/* |x|^y where one of them is infinite, or x is 0. */
static double limit(double size, double y)
{
    if (__builtin_fabs(y) == GML_FN_INF) {
        if (size == 1)
            return 1;
        return (size > 1) == (y > 0) ? GML_FN_INF : 0;
    }
    return (size == 0) == (y > 0) ? 0 : GML_FN_INF;
}

double gml_fn_pow(double x, double y)
{
    double size = __builtin_fabs(x);
    double sign = is_odd(y) ? __builtin_copysign(1, x) : 1;
    if (x == 1 || y == 0)
        return 1;
    if (x != x || y != y)
        return x + y;
    if (size == 0 || size == GML_FN_INF || __builtin_fabs(y) == GML_FN_INF)
        return sign * limit(size, y);
    if (x < 0 && __builtin_trunc(y) != y)
        return GML_FN_NAN;
    gml_pair log = gml_fn_log_pair(size, 0);
    gml_pair product = gml_fn_product(log.high, y);
    product.low = __builtin_fma(log.low, y, product.low);
    return sign * gml_fn_exp_pair(product.high, product.low, 0);
}

float gml_fn_powf(float x, float y)
{
    return (float)gml_fn_pow((double)x, (double)y);
}
