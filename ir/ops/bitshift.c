/* ir/ops/bitshift.c - BitShift. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"direction", GML_ATTR_STRING, GML_ATTR_REQUIRED},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    for (unsigned k = 0; k < 2; k++)
        GML_TRY(gml_infer_require(cx, k, GML_IS_UNSIGNED));
    if (!gml_node_string_is(cx->node, "direction", "LEFT") &&
        !gml_node_string_is(cx->node, "direction", "RIGHT"))
        return gml_infer_fail(cx, GML_E_INVALID, "direction is neither LEFT nor RIGHT");
    return gml_infer_broadcast(cx);
}

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    bool left = gml_node_string_is(node, "direction", "LEFT");
    return gml_binary(x, left ? GML_X_SHL : GML_X_SHR, args[0], args[1]);
}

const gml_op_info gml_op_bitshift = {
    .name = "BitShift",
    .doc = "The bits of unsigned integers moved left or right; zeros come in.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .scalar = scalar,
};
