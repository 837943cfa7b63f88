/* ir/ops/elu.c - Elu: x < 0 ? alpha (exp(x) - 1) : x. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1.0f},
    {NULL},
};

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *alpha = gml_like(x, a, gml_node_float(node, "alpha", 1.0f));
    const gml_expr *e = gml_sub(x, gml_unary(x, GML_X_EXP, a), gml_like(x, a, 1.0));
    const gml_expr *negative = gml_lt(x, a, gml_like(x, a, 0.0));
    return gml_cast(x, gml_select(x, negative, gml_mul(x, alpha, e), a), args[0]->dtype);
}

const gml_op_info gml_op_elu = {
    .name = "Elu",
    .doc = "Negative elements become alpha (exp(x) - 1).",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = gml_infer_float,
    .scalar = scalar,
};
