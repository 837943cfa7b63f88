/* ir/ops/div.c - Div. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_div(x, args[0], args[1]);
}

const gml_op_info gml_op_div = {
    .name = "Div",
    .doc = "The quotient of two tensors, element by element; of integers, towards zero.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_numbers_broadcast,
    .scalar = scalar,
};
