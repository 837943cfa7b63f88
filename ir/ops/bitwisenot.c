/* ir/ops/bitwisenot.c - BitwiseNot. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_unary(x, GML_X_NOT, args[0]);
}

const gml_op_info gml_op_bitwisenot = {
    .name = "BitwiseNot",
    .doc = "The complement of each element's bits.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_int,
    .scalar = scalar,
};
