/* ir/ops/sign.c - Sign. */
#include "ir/elementwise.h"

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    const gml_expr *zero = gml_like(x, args[0], 0.0);
    const gml_expr *one = gml_like(x, args[0], 1.0);
    const gml_expr *rest = args[0]; /* zero, or no number */
    if (gml_dtype_get_class(args[0]->dtype) != GML_CLASS_UNSIGNED) {
        const gml_expr *minus_one = gml_like(x, args[0], -1.0);
        rest = gml_select(x, gml_lt(x, args[0], zero), minus_one, args[0]);
    }
    return gml_select(x, gml_lt(x, zero, args[0]), one, rest);
}

const gml_op_info gml_op_sign = {
    .name = "Sign",
    .doc = "-1, 0 or 1, for each element's sign.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = gml_infer_number,
    .scalar = scalar,
};
