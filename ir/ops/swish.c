/* ir/ops/swish.c - Swish: x sigmoid(alpha x). */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1.0f},
    {NULL},
};

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *alpha = gml_like(x, a, gml_node_float(node, "alpha", 1.0f));
    const gml_expr *gate = gml_sigmoid(x, gml_mul(x, alpha, a));
    return gml_cast(x, gml_mul(x, a, gate), args[0]->dtype);
}

const gml_op_info gml_op_swish = {
    .name = "Swish",
    .doc = "Each element times the logistic function of alpha times it.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = gml_infer_float,
    .scalar = scalar,
};
