/* ir/sample.h - interpolation between the elements of a grid, for `lower`.
 *
 * A sampled value is a sum over taps along each axis, of the element at the tap times a weight
 * along each axis. The weight is a kernel of the distance: linear reaches 1, cubic 2.
 */
#ifndef GML_IR_SAMPLE_H
#define GML_IR_SAMPLE_H

#include "ir/op.h"

/* max(0, 1 - |distance|) */
const gml_expr *gml_linear_kernel(gml_lower *x, const gml_expr *distance);
/* Keys' cubic convolution with parameter `a`. */
const gml_expr *gml_cubic_kernel(gml_lower *x, const gml_expr *distance, double a);

/* The term of a sum at `taps`, i64, one for each axis. */
typedef const gml_expr *(*gml_tap_term)(gml_lower *x, const void *context,
                                        const gml_expr *const *taps);
/* The sum of `term` for taps from 0 to counts[i] - 1 along each of `n` axes: written out when
 * there are few, else a reduction. */
const gml_expr *gml_sum_taps(gml_lower *x, int n, const int64_t *counts, gml_tap_term term,
                             const void *context);

/* The type in which elements of `dtype` are interpolated: f32 for smaller floats and integers
 * of up to 16 bits, f64 for larger integers, else the type itself. */
gml_dtype gml_sample_dtype(gml_dtype dtype);
/* An interpolated value as `dtype`: rounded and limited for integers. */
const gml_expr *gml_sample_cast(gml_lower *x, const gml_expr *value, gml_dtype dtype);
/* A float position as i64; what does not fit is moved to the ends of the range. */
const gml_expr *gml_position(gml_lower *x, const gml_expr *value);

#endif
