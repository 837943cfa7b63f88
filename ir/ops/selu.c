/* ir/ops/selu.c - Selu: gamma (x > 0 ? x : alpha (exp(x) - 1)). */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1.67326319217681884765625f},
    {"gamma", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1.05070102214813232421875f},
    {NULL},
};

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *alpha = gml_like(x, a, gml_node_float(node, "alpha", 0.0f));
    const gml_expr *gamma = gml_like(x, a, gml_node_float(node, "gamma", 0.0f));
    const gml_expr *e = gml_sub(x, gml_unary(x, GML_X_EXP, a), gml_like(x, a, 1.0));
    const gml_expr *positive = gml_lt(x, gml_like(x, a, 0.0), a);
    const gml_expr *y = gml_select(x, positive, a, gml_mul(x, alpha, e));
    return gml_cast(x, gml_mul(x, gamma, y), args[0]->dtype);
}

const gml_op_info gml_op_selu = {
    .name = "Selu",
    .doc = "Elu times gamma, which keeps mean and variance.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = gml_infer_float,
    .scalar = scalar,
};
