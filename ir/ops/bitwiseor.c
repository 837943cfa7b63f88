/* ir/ops/bitwiseor.c - BitwiseOr. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_binary(x, GML_X_OR, args[0], args[1]);
}

const gml_op_info gml_op_bitwiseor = {
    .name = "BitwiseOr",
    .doc = "The bits set in either element.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_COMMUTATIVE,
    .infer = gml_infer_ints_broadcast,
    .scalar = scalar,
};
