/* ir/ops/softmax_util.h - what Softmax, LogSoftmax and Hardmax share. */
#ifndef GML_IR_OPS_SOFTMAX_UTIL_H
#define GML_IR_OPS_SOFTMAX_UTIL_H

#include "ir/op.h"

extern const gml_attr_spec gml_softmax_attrs[]; /* axis, by default the last */
/* The axis, counted from 0; infer has checked it. */
int gml_softmax_axis(const gml_node *node);
gml_status gml_softmax_infer(gml_infer *cx);

/* x - max(x) along the axis at `index`, in the type that the formula is computed in; and the
 * sum of the exponentials of it over the axis. The one is at most 0, the other at least 1: no
 * overflow. */
const gml_expr *gml_softmax_shifted(gml_lower *x, const gml_node *node,
                                    const gml_expr *const *index, const gml_expr **out_sum);

#endif
