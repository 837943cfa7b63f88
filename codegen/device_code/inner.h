/* codegen/device_code/inner.h - what the files of device code share. Private to them.
 *
 * A gml_pair is an unevaluated sum, |low| at most half an ulp of high: some 106 bits.
 */
#ifndef GML_CODEGEN_DEVICE_CODE_INNER_H
#define GML_CODEGEN_DEVICE_CODE_INNER_H

#include "codegen/device_code/device_code.h"

#include <stdbool.h>
#include <stdint.h>

#define GML_FN_INF __builtin_inf()
#define GML_FN_NAN __builtin_nan("")

/* pi/2 as a pair */
#define GML_FN_HALF_PI_HIGH 0x1.921fb54442d18p+0
#define GML_FN_HALF_PI_LOW  0x1.1a62633145c07p-54

/* Below it in magnitude, the odd functions here whose slope at 0 is 1 are x. */
#define GML_FN_TINY 0x1p-27

typedef struct gml_pair {
    double high, low;
} gml_pair;

/* e^(high + low) 2^scale, where |low| is small beside high or beside 1; |scale| below 100. */
double gml_fn_exp_pair(double high, double low, int scale);
/* log(high + low); high is positive and finite. To 2^-64 of the result when low is 0, otherwise
 * as good as the sum is known. */
gml_pair gml_fn_log_pair(double high, double low);

static inline uint64_t gml_fn_bits(double x)
{
    union {
        double x;
        uint64_t bits;
    } both = {.x = x};
    return both.bits;
}

static inline double gml_fn_from_bits(uint64_t bits)
{
    union {
        uint64_t bits;
        double x;
    } both = {.bits = bits};
    return both.x;
}

/* 2^n for n in -1074 … 1023 */
static inline double gml_fn_power_of_two(int n)
{
    return n < -1022 ? gml_fn_from_bits(UINT64_C(1) << (n + 1074))
                     : gml_fn_from_bits((uint64_t)(n + 1023) << 52);
}

/* a + b exactly. */
static inline gml_pair gml_fn_sum(double a, double b)
{
    double high = a + b;
    double from_b = high - a;
    double from_a = high - from_b;
    return (gml_pair){high, (a - from_a) + (b - from_b)};
}

/* The same where |a| >= |b| or a is 0. */
static inline gml_pair gml_fn_ordered_sum(double a, double b)
{
    double high = a + b;
    return (gml_pair){high, b - (high - a)};
}

/* a * b exactly, unless it underflows. */
static inline gml_pair gml_fn_product(double a, double b)
{
    double high = a * b;
    return (gml_pair){high, __builtin_fma(a, b, -high)};
}

/* c[0] + x (c[1] + x (c[2] + …)) */
static inline double gml_fn_polynomial(double x, const double *c, int n)
{
    double sum = c[n - 1];
    for (int i = n - 2; i >= 0; i--)
        sum = __builtin_fma(sum, x, c[i]);
    return sum;
}

#endif
