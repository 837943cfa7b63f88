/* ir/ops/thresholdedrelu.c - ThresholdedRelu: x > alpha ? x : 0. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1.0f},
    {NULL},
};

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *alpha = gml_like(x, a, gml_node_float(node, "alpha", 1.0f));
    return gml_select(x, gml_lt(x, alpha, a), args[0], gml_like(x, args[0], 0.0));
}

const gml_op_info gml_op_thresholdedrelu = {
    .name = "ThresholdedRelu",
    .doc = "Elements not above alpha become 0.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = gml_infer_float,
    .scalar = scalar,
};
