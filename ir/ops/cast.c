/* ir/ops/cast.c - Cast: between all numbers and bool; with strings on either side
 * the node becomes a gemel.CastString.
 *
 * Integers wrap; floats round to nearest even and become infinite outside the range, or the
 * largest number where `saturate` holds and the type has at most 8 bits. `round_mode` is read
 * for powers of two (f8e8m0) only. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"to", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"saturate", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"round_mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "up"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    unsigned castable = GML_IS_NUMBER | GML_IS_BOOL | GML_IS_STRING;
    GML_TRY(gml_infer_require(cx, 0, castable));
    int64_t to = gml_node_int(cx->node, "to", 0);
    if (to <= GML_NONE || to >= GML_DTYPE_COUNT ||
        !(castable >> gml_dtype_get_class((gml_dtype)to) & 1u))
        return gml_infer_fail(cx, GML_E_TYPE, "to is %lld, which is no type to cast to",
                              (long long)to);
    gml_type type = *gml_operand_type(cx->node, 0);
    if (to == GML_STRING || type.dtype == GML_STRING) {
        cx->node->op = &gml_op_caststring;
        return gml_op_caststring.infer(cx);
    }
    type.dtype = (gml_dtype)to;
    return gml_infer_set_type(cx, 0, type);
}

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    gml_dtype to = node->results[0].type.dtype;
    unsigned flags = 0;
    if (gml_dtype_is_float(to) && gml_dtype_bits(to) <= 8 && gml_node_int(node, "saturate", 1))
        flags |= GML_CAST_SATURATE;
    if (to == GML_F8E8M0 && gml_node_string_is(node, "round_mode", "up"))
        flags |= GML_CAST_UP;
    if (to == GML_F8E8M0 && gml_node_string_is(node, "round_mode", "down"))
        flags |= GML_CAST_DOWN;
    return gml_cast_flags(x, args[0], to, flags);
}

const gml_op_info gml_op_cast = {
    .name = "Cast",
    .doc = "Each element as another type.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .scalar = scalar,
};
