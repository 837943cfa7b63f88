/* ir/ops/bitcast.c - BitCast: the same bits read as another type of the same width.
 *
 * In memory, elements of 4 and 2 bits lie in the low bits of a byte and signed ones are
 * extended, so for them the way leads through the unsigned type of the width: a wrapping cast
 * from signed, the bits themselves from floats. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"to", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    unsigned computed = GML_IS_NUMBER | GML_IS_BOOL;
    GML_TRY(gml_infer_require(cx, 0, computed));
    int64_t to = gml_node_int(cx->node, "to", 0);
    if (to <= GML_NONE || to >= GML_DTYPE_COUNT ||
        !(computed >> gml_dtype_get_class((gml_dtype)to) & 1u))
        return gml_infer_fail(cx, GML_E_TYPE, "to is %lld, which is no type of bits",
                              (long long)to);
    gml_type type = *gml_operand_type(cx->node, 0);
    unsigned bits = gml_dtype_bits((gml_dtype)to);
    if (gml_dtype_bits(type.dtype) != bits)
        return gml_infer_fail(cx, GML_E_TYPE, "%s has %u bits, %s has %u",
                              gml_dtype_name(type.dtype), gml_dtype_bits(type.dtype),
                              gml_dtype_name((gml_dtype)to), bits);
    type.dtype = (gml_dtype)to;
    return gml_infer_set_type(cx, 0, type);
}

static const gml_expr *as_bits(gml_lower *x, const gml_expr *a, gml_dtype dtype)
{
    return a->dtype == dtype ? a : gml_expr_scalar(x->kernel, GML_X_BITCAST, dtype, 0, &a);
}

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    gml_dtype to = node->results[0].type.dtype;
    unsigned bits = gml_dtype_bits(to);
    if (bits < 8) {
        gml_dtype plain = bits == 4 ? GML_U4 : GML_U2;
        bool is_signed = gml_dtype_get_class(args[0]->dtype) == GML_CLASS_SIGNED;
        const gml_expr *low =
            is_signed ? gml_cast(x, args[0], plain) : as_bits(x, args[0], plain);
        return gml_dtype_get_class(to) == GML_CLASS_SIGNED ? gml_cast(x, low, to)
                                                           : as_bits(x, low, to);
    }
    if (to == GML_BOOL) /* a byte other than 0 and 1 is true, and stored as 1 */
        return gml_cast(x, as_bits(x, args[0], GML_U8), GML_BOOL);
    return as_bits(x, args[0], to);
}

const gml_op_info gml_op_bitcast = {
    .name = "BitCast",
    .doc = "The bits of each element, read as another type of the same width.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .scalar = scalar,
};
