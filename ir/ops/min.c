/* ir/ops/min.c - Min. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *result = args[0];
    for (uint32_t k = 1; k < node->n_operands; k++)
        result = gml_min(x, result, args[k]);
    return result;
}

const gml_op_info gml_op_min = {
    .name = "Min",
    .doc = "The smallest of any number of tensors, element by element.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_numbers_broadcast,
    .scalar = scalar,
};
