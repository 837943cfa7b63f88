/* ir/ops/reciprocal.c - Reciprocal: 1 / x. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_div(x, gml_like(x, args[0], 1.0), args[0]);
}

const gml_op_info gml_op_reciprocal = {
    .name = "Reciprocal",
    .doc = "One over each element.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_float,
    .scalar = scalar,
};
