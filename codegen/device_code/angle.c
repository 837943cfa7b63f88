/* codegen/device_code/angle.c - sine, cosine, tangent.
 *
 * x = quadrant * pi/2 + r with |r| <= pi/4, r a pair. Below 2^30 by Cody and Waite: pi/2 as
 * three doubles, the products exact. Beyond by Payne and Hanek: only those bits of 2/pi matter
 * whose product with x is below four quadrants; 192 of them leave an error of 2^-137 quadrants,
 * and no double comes closer to a multiple of pi/2 than some 2^-62. */
#include "codegen/device_code/inner.h"

#define GML_FN_HALF_PI_THIRD -0x1.f1976b7ed8fbcp-110

typedef struct angle {
    double high, low;
    unsigned quadrant; /* modulo 4 */
} angle;

/* floor(a b / 2^64) */
static uint64_t product_high(uint64_t a, uint64_t b)
{
    uint64_t a0 = a & UINT32_MAX;
    uint64_t a1 = a >> 32;
    uint64_t b0 = b & UINT32_MAX;
    uint64_t b1 = b >> 32;
    uint64_t mid = a1 * b0 + (a0 * b0 >> 32);
    uint64_t other = a0 * b1 + (mid & UINT32_MAX);
    return a1 * b1 + (mid >> 32) + (other >> 32);
}

static angle reduce_near(double x)
{
    double n = __builtin_rint(x * 0x1.45f306dc9c883p-1);
    gml_pair p = gml_fn_product(n, GML_FN_HALF_PI_HIGH);
    gml_pair q = gml_fn_product(n, GML_FN_HALF_PI_LOW);
    /* x - p.high is exact: they are within a factor of 2, or n is 0 */
    gml_pair r = gml_fn_sum(x - p.high, -p.low);
    gml_pair s = gml_fn_sum(r.high, -q.high);
    s.low += r.low - q.low - n * GML_FN_HALF_PI_THIRD;
    s = gml_fn_ordered_sum(s.high, s.low);
    return (angle){s.high, s.low, (unsigned)((int)n & 3)};
}

/* 192 bits of 2/pi from bit `from` on, counted from 2^63, highest first. */
static void bits_of_two_over_pi(int from, uint64_t *out)
{
    static const uint64_t words[] = {
        0x0000000000000000, 0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041,
        0xfe5163abdebbc561, 0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e,
        0xe88235f52ebb4484, 0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b,
        0x1ff897ffde05980f, 0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d,
        0x7527bac7ebe5f17b, 0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab,
        0xf0cfbc209af4361d,
    };
    const uint64_t *word = words + from / 64;
    int shift = from % 64;
    for (int i = 0; i < 3; i++)
        out[i] = shift == 0 ? word[i] : word[i] << shift | word[i + 1] >> (64 - shift);
}

/* |x| >= 2^30, as mantissa * 2^exponent; the angle of |x|. */
static angle reduce_far(uint64_t mantissa, int exponent)
{
    uint64_t bits[3];
    /* the first bit whose product with 2^exponent is below 4 */
    bits_of_two_over_pi(exponent - 2 + 64, bits);
    /* the product's lowest 192 bits, whose two highest are the quadrant */
    uint64_t low = mantissa * bits[2];
    uint64_t carry = product_high(mantissa, bits[2]);
    uint64_t mid = mantissa * bits[1] + carry;
    carry = product_high(mantissa, bits[1]) + (mid < carry);
    uint64_t high = mantissa * bits[0] + carry;
    unsigned quadrant = (unsigned)(high >> 62);
    high = high << 2 | mid >> 62;
    mid = mid << 2 | low >> 62;
    bool is_past_half = high >> 63;
    if (is_past_half) { /* to the nearest multiple, from above */
        quadrant++;
        mid = -mid;
        high = ~high + (mid == 0);
    }
    int zeros = __builtin_clzll(high | 1);
    if (zeros > 0) {
        high = high << zeros | mid >> (64 - zeros);
        mid <<= zeros;
    }
    double scale = gml_fn_power_of_two(-64 - zeros) * (is_past_half ? -1 : 1);
    gml_pair f = {(double)(high & ~UINT64_C(0x7ff)) * scale,
                  (double)((high & 0x7ff) << 42 | mid >> 22) * 0x1p-42 * scale};
    gml_pair r = gml_fn_product(f.high, GML_FN_HALF_PI_HIGH);
    r.low += f.high * GML_FN_HALF_PI_LOW + f.low * GML_FN_HALF_PI_HIGH;
    r = gml_fn_ordered_sum(r.high, r.low);
    return (angle){r.high, r.low, quadrant & 3};
}

/* x is finite. */
static angle reduce(double x)
{
    double size = __builtin_fabs(x);
    if (size < 0.785)
        return (angle){x, 0, 0};
    if (size < 0x1p30)
        return reduce_near(x);
    uint64_t bits = gml_fn_bits(size);
    uint64_t mantissa = (bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52;
    angle a = reduce_far(mantissa, (int)(bits >> 52) - 1075);
    return x > 0 ? a : (angle){-a.high, -a.low, (4 - a.quadrant) & 3};
}

static double sine(angle a)
{
    /* of (sin r - r) / r^3 in z = r^2 over |r| <= pi/4, to 2^-57 */
    static const double p[] = {
        -0.16666666666666666,    0.0083333333333333315,   -0.00019841269841265041,
        2.7557319219320579e-06,  -2.5052106225994401e-08, 1.6058530596645953e-10,
        -7.5866368828251592e-13,
    };
    double z = a.high * a.high;
    double rest = a.low * __builtin_fma(-0.5, z, 1);
    return a.high + __builtin_fma(a.high * z, gml_fn_polynomial(z, p, 7), rest);
}

static double cosine(angle a)
{
    /* of (cos r - 1 + z/2) / z^2 in z = r^2 over |r| <= pi/4, to 2^-60 */
    static const double p[] = {
        0.041666666666666664,   -0.0013888888888888887, 2.4801587301584632e-05,
        -2.755731922139249e-07, 2.0876755787492604e-09, -1.1470460319209511e-11,
        4.7458384125310228e-14,
    };
    double z = a.high * a.high;
    double first = __builtin_fma(-0.5, z, 1);
    double lost = __builtin_fma(-0.5, z, 1 - first);
    double rest = __builtin_fma(z * z, gml_fn_polynomial(z, p, 7), -(a.high * a.low));
    return first + (lost + rest);
}

double gml_fn_sin(double x)
{
    if (__builtin_fabs(x) < GML_FN_TINY)
        return x;
    if (!(__builtin_fabs(x) < GML_FN_INF))
        return GML_FN_NAN;
    angle a = reduce(x);
    double y = a.quadrant & 1 ? cosine(a) : sine(a);
    return a.quadrant & 2 ? -y : y;
}

double gml_fn_cos(double x)
{
    if (!(__builtin_fabs(x) < GML_FN_INF))
        return GML_FN_NAN;
    angle a = reduce(x);
    double y = a.quadrant & 1 ? sine(a) : cosine(a);
    return (a.quadrant + 1) & 2 ? -y : y;
}

double gml_fn_tan(double x)
{
    if (__builtin_fabs(x) < GML_FN_TINY)
        return x;
    if (!(__builtin_fabs(x) < GML_FN_INF))
        return GML_FN_NAN;
    angle a = reduce(x);
    double s = sine(a);
    double c = cosine(a);
    return a.quadrant & 1 ? -c / s : s / c;
}

float gml_fn_sinf(float x)
{
    return (float)gml_fn_sin((double)x);
}

float gml_fn_cosf(float x)
{
    return (float)gml_fn_cos((double)x);
}

float gml_fn_tanf(float x)
{
    return (float)gml_fn_tan((double)x);
}
