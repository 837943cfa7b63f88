/* ir/ops/softmax.c - Softmax: exp(x - m) / sum(exp(x - m)) along an axis, m the maximum. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/softmax_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_expr *sum;
    const gml_expr *shifted = gml_softmax_shifted(x, node, index, &sum);
    const gml_expr *share = gml_div(x, gml_unary(x, GML_X_EXP, shifted), sum);
    return gml_cast(x, share, gml_result_dtype(x, result));
}

/* dx = y (dy - sum(y dy)) */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *y = &g->node->results[0];
    gml_value *dy = g->results[0];
    int64_t axis = gml_softmax_axis(g->node);
    gml_value *sum =
        gml_build_reduce(b, &gml_op_reducesum, gml_build_mul(b, y, dy), &axis, 1, true);
    g->operands[0] = gml_build_mul(b, y, gml_build_sub(b, dy, sum));
    return b->status;
}

const gml_op_info gml_op_softmax = {
    .name = "Softmax",
    .doc = "Exponentials along an axis, normalised to a sum of 1.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = gml_softmax_attrs,
    .infer = gml_softmax_infer,
    .lower = lower,
    .grad = grad,
};
