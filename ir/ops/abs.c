/* ir/ops/abs.c - Abs. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    if (gml_dtype_get_class(args[0]->dtype) == GML_CLASS_UNSIGNED)
        return args[0];
    return gml_unary(x, GML_X_ABS, args[0]);
}

const gml_op_info gml_op_abs = {
    .name = "Abs",
    .doc = "The magnitude of each element.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_number,
    .scalar = scalar,
};
