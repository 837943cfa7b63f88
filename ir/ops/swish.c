/* ir/ops/swish.c - Swish: x sigmoid(alpha x). */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"

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

/* dx = dy (s + alpha x s (1 - s)), s = sigmoid(alpha x) */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *x = g->node->operands[0];
    gml_value *scaled = gml_build_mul_scalar(b, x, (double)gml_node_float(g->node, "alpha", 1));
    gml_value *s = gml_build_unary(b, &gml_op_sigmoid, scaled);
    gml_value *rest = gml_build_mul(b, s, gml_build_sub_from(b, 1, s));
    gml_value *slope = gml_build_add(b, s, gml_build_mul(b, scaled, rest));
    g->operands[0] = gml_build_mul(b, g->results[0], slope);
    return b->status;
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
    .grad = grad,
};
