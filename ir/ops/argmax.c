/* ir/ops/argmax.c - ArgMax: where the greatest element along an axis is. */
#include "ir/ops/reduce_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)node;
    (void)result;
    return gml_arg_lower(x, GML_REDUCE_MAX, index);
}

const gml_op_info gml_op_argmax = {
    .name = "ArgMax",
    .doc = "The position of the greatest element along an axis.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = gml_arg_attrs,
    .infer = gml_arg_infer,
    .lower = lower,
};
