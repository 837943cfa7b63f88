/* ir/ops/isinf.c - IsInf. */
#include "ir/elementwise.h"

#include <math.h>

static const gml_attr_spec attrs[] = {
    {"detect_negative", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"detect_positive", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    const gml_expr *a = gml_wide(x, args[0]); /* some small floats have no infinity */
    bool negative = gml_node_int(node, "detect_negative", 1) != 0;
    bool positive = gml_node_int(node, "detect_positive", 1) != 0;
    if (negative && positive)
        return gml_unary(x, GML_X_ISINF, a);
    if (negative)
        return gml_eq(x, a, gml_like(x, a, -INFINITY));
    if (positive)
        return gml_eq(x, a, gml_like(x, a, INFINITY));
    return gml_const(x, GML_BOOL, 0.0);
}

const gml_op_info gml_op_isinf = {
    .name = "IsInf",
    .doc = "Whether each element is infinite, of the signs asked for.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = gml_infer_float_test,
    .scalar = scalar,
};
