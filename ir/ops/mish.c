/* ir/ops/mish.c - Mish: x tanh(log(1 + exp(x))). */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *gate = gml_unary(x, GML_X_TANH, gml_softplus(x, a));
    return gml_cast(x, gml_mul(x, a, gate), args[0]->dtype);
}

const gml_op_info gml_op_mish = {
    .name = "Mish",
    .doc = "Each element times tanh of its softplus.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_float,
    .scalar = scalar,
};
