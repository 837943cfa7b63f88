/* ir/ops/relu.c - Relu: max(x, 0). */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_max(x, args[0], gml_like(x, args[0], 0.0));
}

const gml_op_info gml_op_relu = {
    .name = "Relu",
    .doc = "Negative elements become 0.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_signed,
    .scalar = scalar,
};
