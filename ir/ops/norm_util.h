/* ir/ops/norm_util.h - what the normalisations share: centring and scaling by mean and
 * variance. */
#ifndef GML_IR_OPS_NORM_UTIL_H
#define GML_IR_OPS_NORM_UTIL_H

#include "ir/op.h"

typedef struct gml_moments {
    gml_value *mean;     /* over the axes, kept as 1 */
    gml_value *centred;  /* x - mean */
    gml_value *variance; /* the mean of centred^2: two passes, so that nothing cancels */
} gml_moments;

gml_moments gml_build_moments(gml_build *b, gml_value *x, const int64_t *axes, size_t n_axes);
/* 1 / sqrt(variance + epsilon) */
gml_value *gml_build_inverse_deviation(gml_build *b, gml_value *variance, double epsilon);
/* first, …, rank - 1; returns their number. */
size_t gml_axes_from(int first, int rank, int64_t *out_axes);
/* The type of stage one, after stash_type; fails when it is no float. */
gml_status gml_infer_stash(gml_infer *cx, gml_dtype *out_dtype);
gml_dtype gml_stash_dtype(const gml_node *node);

#endif
