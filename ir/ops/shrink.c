/* ir/ops/shrink.c - Shrink: x < -lambd ? x + bias : x > lambd ? x - bias : 0. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"lambd", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.5f},
    {"bias", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.0f},
    {NULL},
};

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    gml_dtype dtype = args[0]->dtype;
    const gml_expr *a =
        gml_dtype_is_float(dtype) ? gml_wide(x, args[0]) : gml_cast(x, args[0], GML_F64);
    const gml_expr *lambd = gml_like(x, a, gml_node_float(node, "lambd", 0.5f));
    const gml_expr *bias = gml_like(x, a, gml_node_float(node, "bias", 0.0f));
    const gml_expr *low = gml_lt(x, a, gml_unary(x, GML_X_NEG, lambd));
    const gml_expr *above =
        gml_select(x, gml_lt(x, lambd, a), gml_sub(x, a, bias), gml_like(x, a, 0.0));
    return gml_cast(x, gml_select(x, low, gml_add(x, a, bias), above), dtype);
}

const gml_op_info gml_op_shrink = {
    .name = "Shrink",
    .doc = "Elements near 0 become 0, others come nearer by bias.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = gml_infer_number,
    .scalar = scalar,
};
