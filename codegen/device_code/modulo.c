/* codegen/device_code/modulo.c - fmod, exactly.
 *
 * With x = a 2^(i + k) and y = b 2^i for integers a and b, the remainder is (a 2^k mod b) 2^i.
 * a is shifted by as many bits at a time as fit beside it in 64. */
#include "codegen/device_code/inner.h"

/* a 2^shift mod b; b below 2^(64 - step). */
static uint64_t shifted_modulo(uint64_t a, uint64_t b, int shift, int step)
{
    a %= b;
    while (shift > 0 && a != 0) {
        int now = shift < step ? shift : step;
        a = (a << now) % b;
        shift -= now;
    }
    return a;
}

/* |x| is mantissa * 2^(exponent - 1075). */
static uint64_t split(double x, int *out_exponent)
{
    uint64_t bits = gml_fn_bits(x) & (UINT64_MAX >> 1);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    int exponent = (int)(bits >> 52);
    *out_exponent = exponent == 0 ? 1 : exponent;
    return exponent == 0 ? mantissa : mantissa | UINT64_C(1) << 52;
}

static bool has_no_remainder(double x, double y)
{
    return x != x || y != y || __builtin_fabs(x) == GML_FN_INF || y == 0;
}

double gml_fn_fmod(double x, double y)
{
    int e_x = 0;
    int e_y = 0;
    if (has_no_remainder(x, y))
        return x != x || y != y ? x + y : GML_FN_NAN;
    if (__builtin_fabs(x) < __builtin_fabs(y))
        return x;
    uint64_t a = split(x, &e_x);
    uint64_t b = split(y, &e_y);
    uint64_t rest = shifted_modulo(a, b, e_x - e_y, 11);
    return __builtin_copysign((double)rest * gml_fn_power_of_two(e_y - 1075), x);
}

/* Floats are doubles of 24 bits, also those that are denormal as floats. */
float gml_fn_fmodf(float x, float y)
{
    int e_x = 0;
    int e_y = 0;
    if (has_no_remainder((double)x, (double)y))
        return x != x || y != y ? x + y : (float)GML_FN_NAN;
    if (__builtin_fabsf(x) < __builtin_fabsf(y))
        return x;
    uint64_t a = split((double)x, &e_x) >> 29;
    uint64_t b = split((double)y, &e_y) >> 29;
    uint64_t rest = shifted_modulo(a, b, e_x - e_y, 40);
    return (float)__builtin_copysign((double)rest * gml_fn_power_of_two(e_y - 1075 + 29),
                                     (double)x);
}
