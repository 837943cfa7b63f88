/* ir/ops/sigmoid.c - Sigmoid: 1 / (1 + exp(-x)). */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_cast(x, gml_sigmoid(x, gml_wide(x, args[0])), args[0]->dtype);
}

/* dx = dy y (1 - y): the formula's own derivative is 0 times infinity far below 0. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *y = &g->node->results[0];
    gml_value *slope = gml_build_mul(b, y, gml_build_sub_from(b, 1, y));
    g->operands[0] = gml_build_mul(b, g->results[0], slope);
    return b->status;
}

const gml_op_info gml_op_sigmoid = {
    .name = "Sigmoid",
    .doc = "The logistic function of each element.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_float,
    .scalar = scalar,
    .grad = grad,
};
