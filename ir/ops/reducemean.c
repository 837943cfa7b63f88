/* ir/ops/reducemean.c - ReduceMean: the mean along axes.
 *
 * Integers wrap around in their own type and are divided towards zero, as numpy does it.
 */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/reduce_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)node;
    gml_dtype dtype = gml_result_dtype(x, result);
    gml_dim count;
    const gml_expr *sum = gml_reduce_lower(x, GML_REDUCE_SUM, true, index, &count);
    return gml_cast(x, gml_div(x, sum, gml_cast(x, gml_size(x, count), sum->dtype)), dtype);
}

/* Each element has its part of the mean's, which is divided before it is spread. */
static gml_status grad(gml_grad *g)
{
    gml_value *count = gml_reduce_count(g, g->node->operands[0]->type.dtype);
    g->operands[0] = gml_reduce_spread(g, gml_build_div(&g->b, g->results[0], count));
    return g->b.status;
}

const gml_op_info gml_op_reducemean = {
    .name = "ReduceMean",
    .doc = "The mean along axes.",
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
