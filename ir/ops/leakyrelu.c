/* ir/ops/leakyrelu.c - LeakyRelu: x < 0 ? alpha x : x. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.01f},
    {NULL},
};

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *scaled =
        gml_mul(x, gml_like(x, a, gml_node_float(node, "alpha", 0.01f)), a);
    const gml_expr *negative = gml_lt(x, a, gml_like(x, a, 0.0));
    return gml_cast(x, gml_select(x, negative, scaled, a), args[0]->dtype);
}

const gml_op_info gml_op_leakyrelu = {
    .name = "LeakyRelu",
    .doc = "Negative elements times alpha.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = gml_infer_float,
    .scalar = scalar,
};
