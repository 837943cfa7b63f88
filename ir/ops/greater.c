/* ir/ops/greater.c - Greater. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_binary(x, GML_X_GT, args[0], args[1]);
}

const gml_op_info gml_op_greater = {
    .name = "Greater",
    .doc = "Whether the first element is the greater.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_numbers_compare,
    .scalar = scalar,
};
