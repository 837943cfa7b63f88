/* ir/sample.c - interpolation between the elements of a grid. */
#include "ir/sample.h"

#include "ir/elementwise.h"

#define GML_MAX_WRITTEN_TAPS 16

const gml_expr *gml_linear_kernel(gml_lower *x, const gml_expr *distance)
{
    const gml_expr *magnitude = gml_unary(x, GML_X_ABS, distance);
    const gml_expr *rest = gml_sub(x, gml_like(x, distance, 1.0), magnitude);
    return gml_max(x, rest, gml_like(x, distance, 0.0));
}

/* With d = |distance|, in factors so that little cancels:
 *   d <= 1  (1 - d) (1 + d - (a + 2) d^2)
 *   d <  2  a (d - 1) (d - 2)^2 */
const gml_expr *gml_cubic_kernel(gml_lower *x, const gml_expr *distance, double a)
{
    const gml_expr *one = gml_like(x, distance, 1.0);
    const gml_expr *two = gml_like(x, distance, 2.0);
    const gml_expr *d = gml_unary(x, GML_X_ABS, distance);
    const gml_expr *square = gml_mul(x, gml_like(x, d, a + 2), gml_mul(x, d, d));
    const gml_expr *near =
        gml_mul(x, gml_sub(x, one, d), gml_sub(x, gml_add(x, one, d), square));
    const gml_expr *rest = gml_sub(x, d, two);
    const gml_expr *far = gml_mul(x, gml_like(x, d, a), gml_sub(x, d, one));
    far = gml_mul(x, far, gml_mul(x, rest, rest));
    far = gml_select(x, gml_lt(x, d, two), far, gml_like(x, d, 0.0));
    return gml_select(x, gml_le(x, d, one), near, far);
}

/* Counts `taps` up, last axis fastest; false after the last. */
static bool next_taps(int n, const int64_t *counts, int64_t *taps)
{
    for (int i = n - 1; i >= 0; i--) {
        if (++taps[i] < counts[i])
            return true;
        taps[i] = 0;
    }
    return false;
}

const gml_expr *gml_sum_taps(gml_lower *x, int n, const int64_t *counts, gml_tap_term term,
                             const void *context)
{
    const gml_expr *taps[GML_MAX_RANK];
    const gml_axis *axes[GML_MAX_RANK];
    int64_t total = 1;
    for (int i = 0; i < n && total <= GML_MAX_WRITTEN_TAPS; i++)
        total *= counts[i];
    if (total > GML_MAX_WRITTEN_TAPS) {
        for (int i = 0; i < n; i++) {
            axes[i] = gml_reduce_axis(x, counts[i]);
            taps[i] = gml_axis_value(x, axes[i]);
        }
        const gml_expr *body = term(x, context, taps);
        return gml_reduce_over(x, GML_REDUCE_SUM, axes, (unsigned)n, body);
    }
    int64_t at[GML_MAX_RANK] = {0};
    const gml_expr *sum = NULL;
    do {
        for (int i = 0; i < n; i++)
            taps[i] = gml_i64(x, at[i]);
        const gml_expr *more = term(x, context, taps);
        sum = sum ? gml_add(x, sum, more) : more;
    } while (next_taps(n, counts, at));
    return sum;
}

gml_dtype gml_sample_dtype(gml_dtype dtype)
{
    if (gml_dtype_is_float(dtype))
        return gml_accumulator(dtype);
    return gml_dtype_bits(dtype) <= 16 ? GML_F32 : GML_F64;
}

const gml_expr *gml_sample_cast(gml_lower *x, const gml_expr *value, gml_dtype dtype)
{
    if (gml_dtype_is_int(dtype))
        value = gml_unary(x, GML_X_ROUND, value);
    return gml_cast_flags(x, value, dtype, gml_dtype_is_int(dtype) ? GML_CAST_CLAMP : 0);
}

const gml_expr *gml_position(gml_lower *x, const gml_expr *value)
{
    return gml_cast_flags(x, value, GML_I64, GML_CAST_CLAMP);
}
