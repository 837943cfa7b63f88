/* ir/ops/softsign.c - Softsign: x / (1 + |x|). */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *below = gml_add(x, gml_like(x, a, 1.0), gml_unary(x, GML_X_ABS, a));
    return gml_cast(x, gml_div(x, a, below), args[0]->dtype);
}

const gml_op_info gml_op_softsign = {
    .name = "Softsign",
    .doc = "Each element over one more than its magnitude.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_float,
    .scalar = scalar,
};
