/* ir/ops/gelu.c - Gelu: x Phi(x), by erf or by a tanh that is close to it. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"approximate", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "none"},
    {NULL},
};

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *phi;
    if (gml_node_string_is(node, "approximate", "tanh")) {
        /* sqrt(2 / pi) (x + 0.044715 x^3) */
        const gml_expr *square = gml_mul(x, a, a);
        const gml_expr *cubic = gml_mul(x, gml_like(x, a, 0.044715), gml_mul(x, square, a));
        const gml_expr *scale = gml_like(x, a, 0.79788456080286535588);
        phi = gml_unary(x, GML_X_TANH, gml_mul(x, scale, gml_add(x, a, cubic)));
    } else {
        const gml_expr *scale = gml_like(x, a, 0.70710678118654752440); /* sqrt(1 / 2) */
        phi = gml_unary(x, GML_X_ERF, gml_mul(x, a, scale));
    }
    const gml_expr *half = gml_mul(x, a, gml_like(x, a, 0.5));
    return gml_cast(x, gml_mul(x, half, gml_add(x, gml_like(x, a, 1.0), phi)), args[0]->dtype);
}

const gml_op_info gml_op_gelu = {
    .name = "Gelu",
    .doc = "Each element times the normal distribution function of it.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = gml_infer_float,
    .scalar = scalar,
};
