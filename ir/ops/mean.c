/* ir/ops/mean.c - Mean. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *sum = gml_wide(x, args[0]);
    for (uint32_t k = 1; k < node->n_operands; k++)
        sum = gml_add(x, sum, gml_wide(x, args[k]));
    sum = gml_div(x, sum, gml_like(x, sum, node->n_operands));
    return gml_cast(x, sum, args[0]->dtype);
}

const gml_op_info gml_op_mean = {
    .name = "Mean",
    .doc = "The mean of any number of tensors, element by element.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_floats_broadcast,
    .scalar = scalar,
};
