/* ir/ops/logsoftmax.c - LogSoftmax: (x - m) - log(sum(exp(x - m))) along an axis, m the
 * maximum. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/softmax_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_expr *sum;
    const gml_expr *shifted = gml_softmax_shifted(x, node, index, &sum);
    return gml_cast(x, gml_sub(x, shifted, gml_unary(x, GML_X_LOG, sum)),
                    gml_result_dtype(x, result));
}

/* dx = dy - exp(y) sum(dy) */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *dy = g->results[0];
    int64_t axis = gml_softmax_axis(g->node);
    gml_value *sum = gml_build_reduce(b, &gml_op_reducesum, dy, &axis, 1, true);
    gml_value *share = gml_build_unary(b, &gml_op_exp, &g->node->results[0]);
    g->operands[0] = gml_build_sub(b, dy, gml_build_mul(b, share, sum));
    return b->status;
}

const gml_op_info gml_op_logsoftmax = {
    .name = "LogSoftmax",
    .doc = "The logarithm of Softmax.",
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
