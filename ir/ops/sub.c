/* ir/ops/sub.c - Sub. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_sub(x, args[0], args[1]);
}

const gml_op_info gml_op_sub = {
    .name = "Sub",
    .doc = "The difference of two tensors, element by element.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_numbers_broadcast,
    .scalar = scalar,
};
