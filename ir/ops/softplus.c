/* ir/ops/softplus.c - Softplus: log(1 + exp(x)). */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_cast(x, gml_softplus(x, gml_wide(x, args[0])), args[0]->dtype);
}

/* dx = dy sigmoid(x) */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *slope = gml_build_unary(b, &gml_op_sigmoid, g->node->operands[0]);
    g->operands[0] = gml_build_mul(b, g->results[0], slope);
    return b->status;
}

const gml_op_info gml_op_softplus = {
    .name = "Softplus",
    .doc = "A smooth maximum of each element and 0.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_float,
    .scalar = scalar,
    .grad = grad,
};
