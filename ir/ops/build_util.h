/* ir/ops/build_util.h - formulas as nodes: short calls for what expansions say most often.
 *
 * Each builds one node (or a few) through gml_build and follows its rule: the first failure
 * sticks in the builder. Operands broadcast as in ONNX.
 */
#ifndef GML_IR_OPS_BUILD_UTIL_H
#define GML_IR_OPS_BUILD_UTIL_H

#include "ir/op.h"

gml_value *gml_build_add(gml_build *b, gml_value *x, gml_value *y);
gml_value *gml_build_sub(gml_build *b, gml_value *x, gml_value *y);
gml_value *gml_build_mul(gml_build *b, gml_value *x, gml_value *y);
gml_value *gml_build_div(gml_build *b, gml_value *x, gml_value *y);
gml_value *gml_build_sqrt(gml_build *b, gml_value *x);
gml_value *gml_build_matmul(gml_build *b, gml_value *x, gml_value *y);
gml_value *gml_build_where(gml_build *b, gml_value *cond, gml_value *x, gml_value *y);
/* x + value, x * value, value - x with a constant of x's element type. */
gml_value *gml_build_add_scalar(gml_build *b, gml_value *x, double value);
gml_value *gml_build_mul_scalar(gml_build *b, gml_value *x, double value);
gml_value *gml_build_sub_from(gml_build *b, double value, gml_value *x);
/* Reshape to rank 0. */
gml_value *gml_build_as_scalar(gml_build *b, gml_value *x);
/* A vector of C elements reshaped so that it broadcasts along axis 1 of a tensor of `rank`. */
gml_value *gml_build_channels(gml_build *b, gml_value *vector, int rank);
/* 0, 1, …, length - 1 as i64. */
gml_value *gml_build_range(gml_build *b, gml_dim length);
/* A size as a scalar of `dtype`. */
gml_value *gml_build_size(gml_build *b, gml_dtype dtype, gml_dim size);
/* Softmax over the last axis. */
gml_value *gml_build_softmax(gml_build *b, gml_value *x);
gml_value *gml_build_sigmoid(gml_build *b, gml_value *x);
/* Elements begin..end - 1 along `axis`. */
gml_value *gml_build_part(gml_build *b, gml_value *x, int64_t axis, gml_dim begin, gml_dim end);
/* Zeros before and after: `pads` has one count for each axis, then another; negative ones take
 * away. */
gml_value *gml_build_pad(gml_build *b, gml_value *x, const gml_dim *pads);
/* `count` axes from `axis` on grown by so many zeros at their ends. */
gml_value *gml_build_grown(gml_build *b, gml_value *x, int axis, const int64_t *more,
                           size_t count);
/* `x` cut, or filled up with zeros, at the end of `axis`, to `size`. */
gml_value *gml_build_resized(gml_build *b, gml_value *x, int axis, gml_dim size);
/* A tensor of zeros. */
gml_value *gml_build_zeros(gml_build *b, gml_dtype dtype, const gml_dim *dims, size_t rank);

/* Dimension `axis` of a value whose rank is known; 1 beyond it (the builder has failed). */
gml_dim gml_value_dim(const gml_value *value, int axis);
/* The type in which an expansion computes: f32 for smaller floats, else the type itself. */
gml_dtype gml_compute_dtype(gml_dtype dtype);

#endif
