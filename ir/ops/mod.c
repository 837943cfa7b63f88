/* ir/ops/mod.c - Mod: the sign is the divisor's, or with fmod the dividend's. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"fmod", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_numbers_broadcast(cx));
    if (gml_dtype_is_float(gml_operand_type(cx->node, 0)->dtype) &&
        gml_node_int(cx->node, "fmod", 0) == 0)
        return gml_infer_fail(cx, GML_E_TYPE, "fmod is 0, but the operands are floats");
    return GML_OK;
}

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    if (gml_node_int(node, "fmod", 0) != 0)
        return gml_binary(x, GML_X_REM, args[0], args[1]);
    return gml_floormod(x, args[0], args[1]);
}

const gml_op_info gml_op_mod = {
    .name = "Mod",
    .doc = "The remainder of a division, element by element.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .scalar = scalar,
};
