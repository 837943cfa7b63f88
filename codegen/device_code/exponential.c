/* codegen/device_code/exponential.c - exp, log, pow, and what is made of them. */
#include "codegen/device_code/device_code.h"
#include "codegen/device_code/number.h"

#define LN2_HI 0x1.62e42fefa39efp-1
#define LN2_LO 0x1.abc9e3b39803fp-56
#define LOG2_E 0x1.71547652b82fep+0

/* x = n ln 2 + r, and Taylor's series of e^r to r^13. */
double gml_fn_exp_of(pair x)
{
    static const double c[] = {1.0 / 2,        1.0 / 6,         1.0 / 24,
                               1.0 / 120,      1.0 / 720,       1.0 / 5040,
                               1.0 / 40320,    1.0 / 362880,    1.0 / 3628800,
                               1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800};
    if (is_nan(x.hi))
        return x.hi;
    if (x.hi > 710)
        return infinity();
    if (x.hi < -746)
        return 0;
    double n = __builtin_rint(x.hi * LOG2_E);
    double r = __builtin_fma(-n, LN2_HI, x.hi);
    r += __builtin_fma(-n, LN2_LO, x.lo);
    double sum = c[11];
    for (int i = 10; i >= 0; i--)
        sum = __builtin_fma(sum, r, c[i]);
    return scaled(1 + __builtin_fma(r * r, sum, r), (int)n);
}

double gml_fn_exp(double x)
{
    return gml_fn_exp_of((pair){x, 0});
}

/* x = m 2^e with m from sqrt(1/2) to sqrt(2); of positive finite numbers. */
static double split(double x, int *out_e)
{
    int e = 0;
    if (x < power_of_two(-1022)) {
        x *= power_of_two(54);
        e = -54;
    }
    uint64_t bits = bits_of(x);
    e += (int)(bits >> 52) - 1023;
    double m = of_bits((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    if (m > 0x1.6a09e667f3bcdp+0) {
        m *= 0.5;
        e++;
    }
    *out_e = e;
    return m;
}

static bool is_odd_log(double x, double *out)
{
    if (x > 0 && x < infinity())
        return false;
    *out = x == 0 ? -infinity() : x > 0 || is_nan(x) ? x : nan_of(x);
    return true;
}

/* The rest of 2 artanh(s) = 2 s + s z (2/3 + 2/5 z + …), z = s^2, from the term `first` on. */
static double artanh_tail(double z, int first)
{
    double sum = 0;
    for (int n = 12; n >= first; n--)
        sum = __builtin_fma(sum, z, 2.0 / (2 * n + 1));
    return sum;
}

double gml_fn_log(double x)
{
    double odd = 0;
    int e = 0;
    if (is_odd_log(x, &odd))
        return odd;
    double f = split(x, &e) - 1;
    double s = f / (2 + f);
    double z = s * s;
    double rest = z * artanh_tail(z, 1);
    /* 2 s = f - s f */
    double small = __builtin_fma(e, LN2_LO, s * (rest - f));
    pair sum = sum_of(e * LN2_HI, f);
    double low = __builtin_fma(e, LN2_HI, -(e * LN2_HI)) + sum.lo;
    return sum.hi + (low + small);
}

/* log x, of which the first two terms are exact pairs: 2^-63 of it. */
static pair log_of(double x)
{
    int e = 0;
    double f = split(x, &e) - 1;
    pair d = sum_of(2, f);
    pair s = {f / d.hi, 0};
    s.lo = (__builtin_fma(-s.hi, d.hi, f) - s.hi * d.lo) / d.hi;
    pair z = times(s, s);
    pair cube = times(s, z);
    pair sum = times(cube, (pair){0x1.5555555555555p-1, 0x1.5555555555555p-55});
    sum = plus(sum, (pair){cube.hi * z.hi * artanh_tail(z.hi, 2), 0});
    sum = plus((pair){2 * s.hi, 2 * s.lo}, sum);
    pair whole = product_of(e, LN2_HI);
    whole.lo += e * LN2_LO;
    return plus(whole, sum);
}

/* 0: no integer; 1: an odd one; 2: an even one */
static int parity_of(double y)
{
    if (__builtin_fabs(y) >= 0x1p53)
        return 2;
    if (y != __builtin_trunc(y))
        return 0;
    return (int64_t)y % 2 != 0 ? 1 : 2;
}

/* Where a zero or an infinity decides. */
static double odd_power(double x, double y, int parity)
{
    double a = __builtin_fabs(x);
    bool grows = (a > 1) == (y > 0); /* the power has no bound, or is 0 */
    double value = 0;
    if (y == infinity() || y == -infinity())
        return a == 1 ? 1 : grows ? infinity() : 0;
    if (a == 0 ? y < 0 : y > 0)
        value = infinity();
    return parity == 1 ? __builtin_copysign(value, x) : value;
}

double gml_fn_pow(double x, double y)
{
    int parity = parity_of(y);
    double a = __builtin_fabs(x);
    if (y == 0 || x == 1)
        return 1;
    if (is_nan(x) || is_nan(y))
        return x + y;
    if (a == 0 || a == infinity() || __builtin_fabs(y) == infinity())
        return odd_power(x, y, parity);
    if (x < 0 && parity == 0)
        return nan_of(x);
    pair l = log_of(a);
    double rough = l.hi * y;
    double value = 0;
    if (rough > 720) {
        value = infinity();
    } else if (rough > -760) {
        pair p = product_of(l.hi, y);
        p.lo = __builtin_fma(l.lo, y, p.lo);
        value = gml_fn_exp_of(p);
    }
    return x < 0 && parity == 1 ? -value : value;
}

/* log(1 + u): what 1 + u loses is made good by u / (w - 1). */
static double log_of_one_plus(double u)
{
    double w = 1 + u;
    if (w == 1)
        return u;
    if (w == infinity())
        return w;
    return gml_fn_log(w) * (u / (w - 1));
}

double gml_fn_sinh(double x)
{
    double a = __builtin_fabs(x);
    if (a < 1) {
        double z = x * x;
        double sum = 0;
        for (int n = 10; n >= 1; n--)
            sum = __builtin_fma(sum, z / ((2 * n + 2) * (2 * n + 3)), 1);
        return __builtin_fma(x * (z / 6), sum, x);
    }
    double half = gml_fn_exp(a / 2);
    double value = a < 40 ? (gml_fn_exp(a) - gml_fn_exp(-a)) / 2 : half * (half / 2);
    return __builtin_copysign(value, x);
}

double gml_fn_cosh(double x)
{
    double a = __builtin_fabs(x);
    double half = gml_fn_exp(a / 2);
    return a < 40 ? (gml_fn_exp(a) + gml_fn_exp(-a)) / 2 : half * (half / 2);
}

double gml_fn_tanh(double x)
{
    double a = __builtin_fabs(x);
    if (is_nan(x))
        return x;
    if (a < 0.5)
        return gml_fn_sinh(x) / gml_fn_cosh(x);
    double value = a > 20 ? 1 : 1 - 2 / (gml_fn_exp(2 * a) + 1);
    return __builtin_copysign(value, x);
}

double gml_fn_asinh(double x)
{
    double a = __builtin_fabs(x);
    if (is_nan(x) || a == infinity())
        return x;
    double value = a > 0x1p30 ? gml_fn_log(a) + LN2_HI
                              : log_of_one_plus(a + a * a / (1 + __builtin_sqrt(a * a + 1)));
    return __builtin_copysign(value, x);
}

double gml_fn_acosh(double x)
{
    double t = x - 1;
    if (x > 0x1p30)
        return x == infinity() ? x : gml_fn_log(x) + LN2_HI;
    return t >= 0 ? log_of_one_plus(t + __builtin_sqrt(t * (t + 2))) : nan_of(x);
}

double gml_fn_atanh(double x)
{
    double a = __builtin_fabs(x);
    if (is_nan(x) || a > 1)
        return nan_of(x);
    if (a == 1)
        return __builtin_copysign(infinity(), x);
    return __builtin_copysign(0.5 * log_of_one_plus(2 * a / (1 - a)), x);
}

/* Below 2 the series of e^(x^2) erf(x), whose terms are all positive; above, the continued
 * fraction of erfc, from its 60th level up. */
double gml_fn_erf(double x)
{
    double a = __builtin_fabs(x);
    double z = a * a;
    if (is_nan(x))
        return x;
    if (a > 6)
        return __builtin_copysign(1, x);
    if (a < 2) {
        double sum = 1;
        for (int n = 32; n >= 1; n--)
            sum = __builtin_fma(sum, 2 * z / (2 * n + 1), 1);
        return x * 0x1.20dd750429b6dp+0 * gml_fn_exp(-z) * sum;
    }
    double level = a;
    for (int n = 60; n >= 1; n--)
        level = a + n * 0.5 / level;
    return __builtin_copysign(1 - gml_fn_exp(-z) * 0x1.20dd750429b6dp-1 / level, x);
}
