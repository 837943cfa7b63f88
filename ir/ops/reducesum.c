/* ir/ops/reducesum.c - ReduceSum: the sum along axes. */
#include "ir/grad.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/reduce_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)node;
    const gml_expr *total = gml_reduce_lower(x, GML_REDUCE_SUM, true, index, NULL);
    return gml_cast(x, total, gml_result_dtype(x, result));
}

static gml_status grad(gml_grad *g)
{
    g->operands[0] = gml_reduce_spread(g, g->results[0]);
    return g->b.status;
}

const gml_op_info gml_op_reducesum = {
    .name = "ReduceSum",
    .doc = "The sum along axes; of nothing, 0.",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .value_operands = GML_REDUCE_AXES,
    .attrs = gml_reduce_attrs,
    .infer = gml_reduce_infer,
    .lower = lower,
    .grad = grad,
};
