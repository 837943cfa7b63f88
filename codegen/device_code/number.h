/* codegen/device_code/number.h - what the functions share: bits of a double, and sums and
 * products of two doubles that lose nothing. */
#ifndef GML_CODEGEN_DEVICE_CODE_NUMBER_H
#define GML_CODEGEN_DEVICE_CODE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t bits_of(double x)
{
    union {
        double d;
        uint64_t u;
    } v = {x};
    return v.u;
}

static inline double of_bits(uint64_t bits)
{
    union {
        uint64_t u;
        double d;
    } v = {bits};
    return v.d;
}

static inline bool is_nan(double x)
{
    return x != x;
}

static inline double infinity(void)
{
    return of_bits(0x7ff0000000000000u);
}

static inline double nan_of(double x)
{
    return (x - x) / (x - x);
}

/* 2^n for n from -1022 to 1023 */
static inline double power_of_two(int n)
{
    return of_bits((uint64_t)(n + 1023) << 52);
}

/* x 2^n, rounded once; |n| below 2200 */
static inline double scaled(double x, int n)
{
    while (n > 1000) {
        x *= power_of_two(1000);
        n -= 1000;
    }
    if (n >= -1000)
        return x * power_of_two(n);
    /* first to where it is normal yet, then down at once */
    while (n < -2000) {
        x *= power_of_two(-1000);
        n += 1000;
    }
    return x * power_of_two(n + 1000) * power_of_two(-1000);
}

/* A number as the sum of two: `lo` is below an ulp of `hi`. */
typedef struct pair {
    double hi, lo;
} pair;

static inline pair sum_of(double a, double b)
{
    double s = a + b;
    double t = s - a;
    return (pair){s, (a - (s - t)) + (b - t)};
}

static inline pair product_of(double a, double b)
{
    double p = a * b;
    return (pair){p, __builtin_fma(a, b, -p)};
}

static inline pair times(pair a, pair b)
{
    pair p = product_of(a.hi, b.hi);
    p.lo += a.hi * b.lo + a.lo * b.hi;
    return sum_of(p.hi, p.lo);
}

static inline pair plus(pair a, pair b)
{
    pair s = sum_of(a.hi, b.hi);
    s.lo += a.lo + b.lo;
    return sum_of(s.hi, s.lo);
}

/* Of several files. */
double gml_fn_exp_of(pair x); /* e^(hi + lo) */

#endif
