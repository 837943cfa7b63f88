/* ir/ops/hardsigmoid.c - HardSigmoid: max(0, min(1, alpha x + beta)). */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.2f},
    {"beta", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.5f},
    {NULL},
};

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *alpha = gml_like(x, a, gml_node_float(node, "alpha", 0.2f));
    const gml_expr *beta = gml_like(x, a, gml_node_float(node, "beta", 0.5f));
    const gml_expr *line = gml_add(x, gml_mul(x, alpha, a), beta);
    const gml_expr *below = gml_min(x, gml_like(x, a, 1.0), line);
    return gml_cast(x, gml_max(x, gml_like(x, a, 0.0), below), args[0]->dtype);
}

const gml_op_info gml_op_hardsigmoid = {
    .name = "HardSigmoid",
    .doc = "A line through the middle of the logistic function, clipped to 0 and 1.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = gml_infer_float,
    .scalar = scalar,
};
