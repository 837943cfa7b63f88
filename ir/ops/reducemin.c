/* ir/ops/reducemin.c - ReduceMin: the least element along axes. Bools are ordered: false, true.
 */
#include "ir/grad.h"
#include "ir/ops/reduce_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)node;
    bool logical = gml_result_dtype(x, result) == GML_BOOL;
    gml_reduce_op op = logical ? GML_REDUCE_AND : GML_REDUCE_MIN;
    return gml_reduce_lower(x, op, false, index, NULL);
}

static gml_status grad(gml_grad *g)
{
    return gml_reduce_grad_extreme(g);
}

const gml_op_info gml_op_reducemin = {
    .name = "ReduceMin",
    .doc = "The least element along axes; of nothing, the greatest value there is.",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .value_operands = GML_REDUCE_AXES,
    .attrs = gml_reduce_attrs,
    .infer = gml_reduce_infer_ordered,
    .lower = lower,
    .grad = grad,
};
