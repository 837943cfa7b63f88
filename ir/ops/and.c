/* ir/ops/and.c - And. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_and(x, args[0], args[1]);
}

const gml_op_info gml_op_and = {
    .name = "And",
    .doc = "Whether both truth values hold.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_COMMUTATIVE,
    .infer = gml_infer_logic_broadcast,
    .scalar = scalar,
};
