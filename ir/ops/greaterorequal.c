/* ir/ops/greaterorequal.c - GreaterOrEqual. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_binary(x, GML_X_GE, args[0], args[1]);
}

const gml_op_info gml_op_greaterorequal = {
    .name = "GreaterOrEqual",
    .doc = "Whether the first element is not the smaller.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_numbers_compare,
    .scalar = scalar,
};
