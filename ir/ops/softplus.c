/* ir/ops/softplus.c - Softplus: log(1 + exp(x)). */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_cast(x, gml_softplus(x, gml_wide(x, args[0])), args[0]->dtype);
}

const gml_op_info gml_op_softplus = {
    .name = "Softplus",
    .doc = "A smooth maximum of each element and 0.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_float,
    .scalar = scalar,
};
