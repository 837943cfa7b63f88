/* ir/ops/mish.c - Mish: x tanh(log(1 + exp(x))). */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *gate = gml_unary(x, GML_X_TANH, gml_softplus(x, a));
    return gml_cast(x, gml_mul(x, a, gate), args[0]->dtype);
}

/* dx = dy (t + x (1 - t^2) sigmoid(x)), t = tanh(softplus(x)) */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *x = g->node->operands[0];
    gml_value *t = gml_build_unary(b, &gml_op_softplus, x);
    t = gml_build_unary(b, &gml_op_tanh, t);
    gml_value *rest = gml_build_sub_from(b, 1, gml_build_mul(b, t, t));
    rest = gml_build_mul(b, rest, gml_build_unary(b, &gml_op_sigmoid, x));
    gml_value *slope = gml_build_add(b, t, gml_build_mul(b, x, rest));
    g->operands[0] = gml_build_mul(b, g->results[0], slope);
    return b->status;
}

const gml_op_info gml_op_mish = {
    .name = "Mish",
    .doc = "Each element times tanh of its softplus.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_float,
    .scalar = scalar,
    .grad = grad,
};
