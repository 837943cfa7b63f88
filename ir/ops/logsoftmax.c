/* ir/ops/logsoftmax.c - LogSoftmax: (x - m) - log(sum(exp(x - m))) along an axis, m the
 * maximum. */
#include "ir/ops/softmax_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_expr *sum;
    const gml_expr *shifted = gml_softmax_shifted(x, node, index, &sum);
    return gml_cast(x, gml_sub(x, shifted, gml_unary(x, GML_X_LOG, sum)),
                    gml_result_dtype(x, result));
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
};
