/* ir/ops/floor.c - Floor. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_unary(x, GML_X_FLOOR, args[0]);
}

const gml_op_info gml_op_floor = {
    .name = "Floor",
    .doc = "Each element rounded down.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_float,
    .scalar = scalar,
};
