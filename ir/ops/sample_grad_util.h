/* ir/ops/sample_grad_util.h - interpolation spelled out in nodes that have gradients: for those
 * of GridSample, RoiAlign and DeformConv. */
#ifndef GML_IR_OPS_SAMPLE_GRAD_UTIL_H
#define GML_IR_OPS_SAMPLE_GRAD_UTIL_H

#include "ir/op.h"

/* What P positions read along one axis: `count` elements each. */
typedef struct gml_taps {
    gml_value *index;  /* (N, P, count), whole numbers as floats; those outside read the end */
    gml_value *weight; /* (N, P, count); NULL: 1 */
    int64_t count;
} gml_taps;

/* The elements of x (N, C, size…) that positions read along its `n` last axes, each times the
 * product of its weights, (N, C, P, product of the counts). */
gml_value *gml_build_taps(gml_build *b, gml_value *x, int n, const gml_taps *taps);
/* Linear interpolation at `positions` (N, P), with zeros outside the axis of that size. */
gml_taps gml_build_linear_taps(gml_build *b, gml_value *positions, gml_dim size);
/* The `count` whole numbers next to `positions` (N, P), from `first` after the one below. */
gml_value *gml_build_neighbours(gml_build *b, gml_value *positions, int64_t first,
                                int64_t count);
/* The kernels of ir/sample.h. */
gml_value *gml_build_linear_kernel(gml_build *b, gml_value *distance);
gml_value *gml_build_cubic_kernel(gml_build *b, gml_value *distance, double a);
/* `value` where 0 <= position < size, else 0. */
gml_value *gml_build_inside(gml_build *b, gml_value *position, gml_dim size, gml_value *value);
/* Entry `k` along the last axis, which goes away. */
gml_value *gml_build_entry(gml_build *b, gml_value *x, int64_t k);
/* `x` within low and high. */
gml_value *gml_build_clamp(gml_build *b, gml_value *x, gml_value *low, gml_value *high);

#endif
