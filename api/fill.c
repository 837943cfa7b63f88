/* api/fill.c - constants and random numbers as elements of weights.
 *
 * The uniform number of element i is a hash of (key, i): a counter, not a stream. The normal
 * number is the inverse of the normal distribution function at it, by Acklam's two rational
 * approximations (relative error 1.2e-9, far below a float's); truncation then is a
 * narrower interval of uniform numbers. The logarithm that the tails need is computed here
 * because those of C libraries differ in the last bit.
 */
#include "api/fill.h"

#include "base/half.h"

#include <math.h>
#include <string.h>

/* Phi(-2): the share that truncation at two deviations cuts off on either side. */
#define GML_TAIL_BEYOND_2 0.022750131948179207

/* The finaliser of SplitMix64. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* In the open interval (0, 1). */
static double uniform_at(uint64_t key, uint64_t i)
{
    uint64_t bits = mix(mix(key) + (i + 1) * UINT64_C(0x9e3779b97f4a7c15));
    return ((double)(bits >> 12) + 0.5) * 0x1p-52;
}

/* ln(x) for x > 0: x = m 2^e with m around 1, and ln(m) = 2 artanh((m - 1) / (m + 1)). */
static double log_portable(double x)
{
    int exponent = 0;
    double m = frexp(x, &exponent); /* exact */
    if (m < 0.70710678118654752) {
        m *= 2;
        exponent--;
    }
    double s = (m - 1) / (m + 1); /* |s| < 0.1716, so s^21 / 21 is the last that counts */
    double square = s * s;
    double sum = 0;
    for (int k = 21; k >= 1; k -= 2)
        sum = sum * square + 1.0 / k;
    return 2 * s * sum + exponent * 0.69314718055994530942;
}

static double polynomial(const double *coefficients, int count, double x)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum = sum * x + coefficients[i];
    return sum;
}

static double inverse_normal(double p)
{
    static const double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                               -2.759285104469687e+02, 1.383577518672690e+02,
                               -3.066479806614716e+01, 2.506628277459239e+00};
    static const double b[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                               -1.556989798598866e+02, 6.680131188771972e+01,
                               -1.328068155288572e+01, 1.0};
    static const double c[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                               -2.400758277161838e+00, -2.549732539343734e+00,
                               4.374664141464968e+00,  2.938163982698783e+00};
    static const double d[] = {7.784695709041462e-03, 3.224671290700398e-01,
                               2.445134137142996e+00, 3.754408661907416e+00, 1.0};
    double tail = p < 0.5 ? p : 1 - p;
    if (tail >= 0.02425) {
        double q = p - 0.5;
        double r = q * q;
        return q * polynomial(a, 6, r) / polynomial(b, 6, r);
    }
    double q = sqrt(-2 * log_portable(tail));
    double z = polynomial(c, 6, q) / polynomial(d, 5, q);
    return p < 0.5 ? z : -z;
}

static double element_at(const gml_fill *fill, uint64_t key, uint64_t i)
{
    switch (fill->kind) {
    case GML_FILL_CONSTANT: break;
    case GML_FILL_UNIFORM: return fill->a + (fill->b - fill->a) * uniform_at(key, i);
    case GML_FILL_NORMAL: return fill->a + fill->b * inverse_normal(uniform_at(key, i));
    case GML_FILL_TRUNCATED_NORMAL: {
        double p = GML_TAIL_BEYOND_2 + (1 - 2 * GML_TAIL_BEYOND_2) * uniform_at(key, i);
        return fill->a + fill->b * inverse_normal(p);
    }
    }
    return fill->a;
}

bool gml_fill_allows(gml_dtype dtype)
{
    return dtype == GML_F32 || dtype == GML_F64 || dtype == GML_F16 || dtype == GML_BF16;
}

void gml_fill_elements(const gml_fill *fill, uint64_t key, gml_dtype dtype, uint64_t first,
                       size_t count, void *data)
{
    if (fill->kind == GML_FILL_CONSTANT && fill->a == 0 && !signbit(fill->a)) {
        memset(data, 0, count * gml_dtype_size(dtype));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        double value = element_at(fill, key, first + i);
        if (dtype == GML_F32)
            ((float *)data)[i] = (float)value;
        else if (dtype == GML_F64)
            ((double *)data)[i] = value;
        else
            ((uint16_t *)data)[i] =
                gml_small_from_double(dtype, value, false, GML_ROUND_NEAREST);
    }
}
