/* ir/ops/hardswish.c - HardSwish: x max(0, min(1, x / 6 + 1 / 2)). */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    const gml_expr *a = gml_wide(x, args[0]);
    const gml_expr *sixth = gml_mul(x, a, gml_like(x, a, 1.0 / 6.0));
    const gml_expr *line = gml_add(x, sixth, gml_like(x, a, 0.5));
    const gml_expr *below = gml_min(x, gml_like(x, a, 1.0), line);
    const gml_expr *gate = gml_max(x, gml_like(x, a, 0.0), below);
    return gml_cast(x, gml_mul(x, a, gate), args[0]->dtype);
}

const gml_op_info gml_op_hardswish = {
    .name = "HardSwish",
    .doc = "Each element times a hard sigmoid of it.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_float,
    .scalar = scalar,
};
