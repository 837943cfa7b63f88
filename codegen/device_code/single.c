/* codegen/device_code/single.c - the functions of floats, by those of doubles; remainders; what
 * base/half.c needs. */
#include "codegen/device_code/device_code.h"
#include "codegen/device_code/number.h"

#define X(name)                                                                                \
    float gml_fn_##name##f(float x)                                                            \
    {                                                                                          \
        return (float)gml_fn_##name((double)x);                                                \
    }
GML_DEVICE_FUNCTIONS(X)
#undef X

float gml_fn_powf(float x, float y)
{
    return (float)gml_fn_pow((double)x, (double)y);
}

float gml_fn_fmodf(float x, float y)
{
    return (float)gml_fn_fmod((double)x, (double)y);
}

/* A finite positive number as m 2^e. */
static uint64_t mantissa_of(double x, int *out_e)
{
    uint64_t bits = bits_of(x);
    uint64_t m = bits & 0x000fffffffffffffu;
    int e = (int)(bits >> 52);
    *out_e = e == 0 ? -1074 : e - 1075;
    return e == 0 ? m : m | 0x0010000000000000u;
}

/* As by hand: a bit of the quotient at a time, of integers. */
double gml_fn_fmod(double x, double y)
{
    int e_x = 0, e_y = 0;
    double a = __builtin_fabs(x);
    double b = __builtin_fabs(y);
    if (is_nan(x) || is_nan(y) || a == infinity() || b == 0)
        return nan_of(x * y);
    if (a < b)
        return x;
    uint64_t m_x = mantissa_of(a, &e_x);
    uint64_t m_y = mantissa_of(b, &e_y);
    /* a subnormal divisor: its last bit counts as the dividend's does */
    m_x %= m_y;
    for (; e_x > e_y && m_x != 0; e_x--)
        m_x = (m_x << 1) % m_y;
    return __builtin_copysign(scaled((double)m_x, e_y), x);
}

float gml_fn_ldexpf(float x, int exponent)
{
    return (float)scaled((double)x, exponent);
}

double gml_fn_frexp(double x, int *exponent)
{
    int shift = 0;
    *exponent = 0;
    if (x == 0 || is_nan(x) || __builtin_fabs(x) == infinity())
        return x;
    if (__builtin_fabs(x) < power_of_two(-1022)) {
        x *= power_of_two(54);
        shift = 54;
    }
    uint64_t bits = bits_of(x);
    *exponent = (int)(bits >> 52 & 0x7ff) - 1022 - shift;
    return of_bits((bits & 0x800fffffffffffffu) | 0x3fe0000000000000u);
}
