/* ir/ops/softmax.c - Softmax: exp(x - m) / sum(exp(x - m)) along an axis, m the maximum. */
#include "ir/ops/softmax_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_expr *sum;
    const gml_expr *shifted = gml_softmax_shifted(x, node, index, &sum);
    const gml_expr *share = gml_div(x, gml_unary(x, GML_X_EXP, shifted), sum);
    return gml_cast(x, share, gml_result_dtype(x, result));
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
};
