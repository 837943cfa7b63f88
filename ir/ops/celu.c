/* ir/ops/celu.c - Celu: max(0, x) + min(0, alpha (exp(x / alpha) - 1)). */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1.0f},
    {NULL},
};

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *alpha = gml_like(x, a, gml_node_float(node, "alpha", 1.0f));
    const gml_expr *zero = gml_like(x, a, 0.0);
    const gml_expr *e = gml_unary(x, GML_X_EXP, gml_div(x, a, alpha));
    const gml_expr *bent = gml_mul(x, alpha, gml_sub(x, e, gml_like(x, a, 1.0)));
    const gml_expr *sum = gml_add(x, gml_max(x, zero, a), gml_min(x, zero, bent));
    return gml_cast(x, sum, args[0]->dtype);
}

const gml_op_info gml_op_celu = {
    .name = "Celu",
    .doc = "Like Elu, with a slope of 1 on both sides of 0.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = gml_infer_float,
    .scalar = scalar,
};
