/* codegen/device_code/circular.c - sin, cos, tan, and their inverses. */
#include "codegen/device_code/device_code.h"
#include "codegen/device_code/number.h"

#define HALF_PI_1 0x1.921fb54442d18p+0
#define HALF_PI_2 0x1.1a62633145c07p-54
#define HALF_PI_3 -0x1.f1976b7ed8fbcp-110
#define TWO_BY_PI 0x1.45f306dc9c883p-1

/* 2/pi behind the point, 64 bits a word. */
static uint64_t two_by_pi(int word)
{
    static const uint64_t bits[] = {
        0xa2f9836e4e441529, 0xfc2757d1f534ddc0, 0xdb6295993c439041, 0xfe5163abdebbc561,
        0xb7246e3a424dd2e0, 0x06492eea09d1921c, 0xfe1deb1cb129a73e, 0xe88235f52ebb4484,
        0xe99c7026b45f7e41, 0x3991d639835339f4, 0x9c845f8bbdf9283b, 0x1ff897ffde05980f,
        0xef2f118b5a0a6d1f, 0x6d367ecf27cb09b7, 0x4f463f669e5fea2d, 0x7527bac7ebe5f17b,
        0x3d0739f78a5292ea, 0x6bfb5fb11f8d5d08, 0x56033046fc7b6bab, 0xf0cfbc209af4361d};
    return word >= 0 && word < 20 ? bits[word] : 0;
}

/* 64 bits of 2/pi from bit number `at` behind the point on; bits before the point are 0. */
static uint64_t window(int at)
{
    int word = at >= 0 ? at / 64 : -((63 - at) / 64);
    int shift = at - word * 64;
    uint64_t high = two_by_pi(word);
    return shift == 0 ? high : high << shift | two_by_pi(word + 1) >> (64 - shift);
}

static uint64_t high_product(uint64_t a, uint64_t b)
{
    uint64_t a_low = a & 0xffffffff, a_high = a >> 32;
    uint64_t b_low = b & 0xffffffff, b_high = b >> 32;
    uint64_t middle = a_high * b_low + (a_low * b_low >> 32);
    uint64_t other = a_low * b_high + (middle & 0xffffffff);
    return a_high * b_high + (middle >> 32) + (other >> 32);
}

/* A large x = m 2^e: of m (2/pi) 2^e only the last bits before the point and those behind it
 * matter. m has 53 bits; the product of it and 192 bits of 2/pi, from where its integer part is
 * a multiple of four, is exact to 2^-120. */
static int reduce_large(double x, pair *out)
{
    uint64_t bits = bits_of(x);
    uint64_t m = (bits & 0x000fffffffffffffu) | 0x0010000000000000u;
    int e = (int)(bits >> 52 & 0x7ff) - 1075;
    int at = e - 2; /* the first bit of 2/pi with weight 2 in m 2^e */
    uint64_t w0 = window(at), w1 = window(at + 64), w2 = window(at + 128);
    uint64_t low = m * w1 + high_product(m, w2);
    uint64_t carry = low < m * w1;
    uint64_t high = m * w0 + high_product(m, w1) + carry;
    /* `high` has two bits before the point */
    int quadrant = (int)(high >> 62);
    uint64_t f1 = high << 2 | low >> 62, f0 = low << 2;
    bool is_upper = f1 >> 63; /* above a half: the next quadrant, and less than zero */
    if (is_upper) {
        quadrant++;
        f1 = ~f1;
        f0 = ~f0;
    }
    double f_hi = (double)(f1 >> 11) * 0x1p-53;
    double f_lo = (double)((f1 & 0x7ff) << 42 | f0 >> 22) * 0x1p-106;
    pair f = sum_of(f_hi, f_lo);
    pair r = times(f, (pair){HALF_PI_1, HALF_PI_2});
    bool turned = is_upper != (x < 0);
    *out = turned ? (pair){-r.hi, -r.lo} : r;
    return x < 0 ? -quadrant : quadrant;
}

/* x = quadrant pi/2 + out, |out| up to pi/4 */
static int reduce(double x, pair *out)
{
    if (__builtin_fabs(x) > 0x1p28)
        return reduce_large(x, out);
    double n = __builtin_rint(x * TWO_BY_PI);
    pair r = product_of(-n, HALF_PI_1);
    pair s = sum_of(x, r.hi);
    pair t = product_of(-n, HALF_PI_2);
    s = plus(s, (pair){r.lo, 0});
    s = plus(s, t);
    s = plus(s, (pair){-n * HALF_PI_3, 0});
    *out = s;
    return (int)((int64_t)n & 3);
}

/* Taylor's series on [-pi/4, pi/4], to r^19 and r^18. */
static double sine(pair r)
{
    double z = r.hi * r.hi;
    double sum = 1;
    for (int n = 9; n >= 2; n--)
        sum = __builtin_fma(sum, -z / ((2 * n) * (2 * n + 1)), 1);
    /* sin(hi + lo) = sin hi + lo cos hi */
    double low = r.lo * (1 - z / 2);
    return r.hi + __builtin_fma(-r.hi * z / 6, sum, low);
}

static double cosine(pair r)
{
    double z = r.hi * r.hi;
    double sum = 1;
    for (int n = 9; n >= 2; n--)
        sum = __builtin_fma(sum, -z / ((2 * n) * (2 * n - 1)), 1);
    pair half = product_of(r.hi, r.hi * 0.5);
    pair one = sum_of(1, -half.hi);
    /* the series from r^4 on: 1 - z/2 sum = (1 - z/2) - z/2 (sum - 1) */
    return one.hi + (one.lo - half.lo - r.hi * r.lo - half.hi * (sum - 1));
}

static double turned(double x, int quarter)
{
    pair r;
    if (is_nan(x) || __builtin_fabs(x) == infinity())
        return nan_of(x);
    int q = (reduce(x, &r) + quarter) & 3;
    double value = q & 1 ? cosine(r) : sine(r);
    return q & 2 ? -value : value;
}

double gml_fn_sin(double x)
{
    return x == 0 ? x : turned(x, 0);
}

double gml_fn_cos(double x)
{
    return turned(x, 1);
}

double gml_fn_tan(double x)
{
    pair r;
    if (x == 0)
        return x;
    if (is_nan(x) || __builtin_fabs(x) == infinity())
        return nan_of(x);
    int q = reduce(x, &r);
    return q & 1 ? -cosine(r) / sine(r) : sine(r) / cosine(r);
}

/* atan x = atan c + atan((x - c) / (1 + x c)), c the nearest eighth: the rest is below 1/16. Of
 * x from 0 to 1. */
static double atan_of_fraction(double x)
{
    static const double eighths[9][2] = {{0, 0},
                                         {0x1.fd5ba9aac2f6ep-4, -0x1.cd37686760c17p-59},
                                         {0x1.f5b75f92c80ddp-3, 0x1.8ab6e3cf7afbdp-57},
                                         {0x1.6f61941e4def1p-2, -0x1.c63aae6f6e918p-56},
                                         {0x1.dac670561bb4fp-2, 0x1.a2b7f222f65e2p-56},
                                         {0x1.1e00babdefeb4p-1, -0x1.928df287a668fp-58},
                                         {0x1.4978fa3269ee1p-1, 0x1.2419a87f2a458p-56},
                                         {0x1.700a7c5784634p-1, -0x1.8c34d25aadef6p-56},
                                         {0x1.921fb54442d18p-1, 0x1.1a62633145c07p-55}};
    int k = (int)__builtin_rint(x * 8);
    double c = k * 0.125;
    double t = (x - c) / __builtin_fma(x, c, 1);
    double z = t * t;
    double sum = 0;
    for (int n = 7; n >= 1; n--)
        sum = __builtin_fma(sum, z, (n & 1 ? -1.0 : 1.0) / (2 * n + 1));
    return eighths[k][0] + (__builtin_fma(t * z, sum, eighths[k][1]) + t);
}

double gml_fn_atan(double x)
{
    double a = __builtin_fabs(x);
    if (is_nan(x))
        return x;
    double value =
        a <= 1 ? atan_of_fraction(a) : HALF_PI_1 - (atan_of_fraction(1 / a) - HALF_PI_2);
    return __builtin_copysign(value, x);
}

double gml_fn_asin(double x)
{
    double a = __builtin_fabs(x);
    if (!(a <= 1))
        return nan_of(x);
    double value = a == 1 ? HALF_PI_1 : gml_fn_atan(a / __builtin_sqrt((1 - a) * (1 + a)));
    return __builtin_copysign(value, x);
}

double gml_fn_acos(double x)
{
    if (!(__builtin_fabs(x) <= 1))
        return nan_of(x);
    return x == -1 ? 2 * HALF_PI_1 : 2 * gml_fn_atan(__builtin_sqrt((1 - x) / (1 + x)));
}
