/* ir/ops/max.c - Max. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *result = args[0];
    for (uint32_t k = 1; k < node->n_operands; k++)
        result = gml_max(x, result, args[k]);
    return result;
}

const gml_op_info gml_op_max = {
    .name = "Max",
    .doc = "The greatest of any number of tensors, element by element.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_numbers_broadcast,
    .scalar = scalar,
};
