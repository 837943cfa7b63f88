/* ir/ops/round.c - Round. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_unary(x, GML_X_ROUND, args[0]);
}

const gml_op_info gml_op_round = {
    .name = "Round",
    .doc = "Each element rounded to the nearest integer, ties to even.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_float,
    .scalar = scalar,
};
