/* ir/ops/quantizelinear.c - QuantizeLinear: round(x / scale) + zero point, limited to the type.
 *
 * The division has the type of the scale, or the one that `precision` names. Floats of 8 bits
 * and fewer are not rounded to whole numbers, only to themselves. */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/quantize.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"block_size", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"output_dtype", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"precision", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"saturate", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

/* Types that values are quantised to: integers of up to 16 bits, floats of up to 8. */
static bool is_quantized(gml_dtype dtype)
{
    return gml_dtype_is_int(dtype) ? gml_dtype_bits(dtype) <= 16
                                   : gml_dtype_is_float(dtype) && gml_dtype_bits(dtype) <= 8;
}

static gml_status infer(gml_infer *cx)
{
    for (unsigned k = 0; k < 3; k++) {
        GML_TRY(gml_infer_require(cx, k, GML_IS_NUMBER));
        if (k > 0)
            GML_TRY(gml_infer_scale(cx, k));
    }
    int64_t wanted = gml_node_int(cx->node, "output_dtype", 0);
    gml_dtype dtype = GML_U8;
    if (gml_has_operand(cx->node, 2)) {
        dtype = gml_operand_type(cx->node, 2)->dtype;
        if (wanted && wanted != (int64_t)dtype)
            return gml_infer_fail(cx, GML_E_TYPE, "output_dtype is %lld, the zero point is %s",
                                  (long long)wanted, gml_dtype_name(dtype));
    } else if (wanted > 0 && wanted < GML_DTYPE_COUNT) {
        dtype = (gml_dtype)wanted;
    }
    if (!is_quantized(dtype))
        return gml_infer_fail(cx, GML_E_TYPE, "%s is no type to quantise to",
                              gml_dtype_name(dtype));
    int64_t precision = gml_node_int(cx->node, "precision", 0);
    if (precision && (precision < 0 || precision >= GML_DTYPE_COUNT ||
                      !gml_dtype_is_float((gml_dtype)precision)))
        return gml_infer_fail(cx, GML_E_TYPE, "precision is %lld, which is no float",
                              (long long)precision);
    gml_type type = *gml_operand_type(cx->node, 0);
    type.dtype = dtype;
    return gml_infer_set_type(cx, 0, type);
}

static gml_dtype division_type(const gml_node *node, gml_dtype scale)
{
    int64_t precision = gml_node_int(node, "precision", 0);
    if (precision)
        return (gml_dtype)precision;
    if (gml_dtype_is_int(scale))
        return GML_F64;
    return gml_dtype_bits(scale) <= 8 ? GML_F32 : scale;
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    gml_dtype dtype = gml_result_dtype(x, result);
    const gml_expr *scale = gml_at_scale(x, 1, index);
    gml_dtype precise = division_type(node, scale->dtype);
    const gml_expr *quotient =
        gml_div(x, gml_cast(x, gml_at(x, 0, index), precise), gml_cast(x, scale, precise));
    quotient = gml_wide(x, quotient);
    if (gml_dtype_is_int(dtype))
        quotient = gml_unary(x, GML_X_ROUND, quotient);
    if (gml_has_operand(node, 2)) {
        const gml_expr *zero = gml_cast(x, gml_at_scale(x, 2, index), quotient->dtype);
        quotient = gml_add(x, quotient, zero);
    }
    if (gml_dtype_is_int(dtype))
        return gml_cast_flags(x, quotient, dtype, GML_CAST_CLAMP);
    bool saturates = gml_node_int(node, "saturate", 1) != 0;
    return gml_cast_flags(x, quotient, dtype, saturates ? GML_CAST_SATURATE : 0);
}

const gml_op_info gml_op_quantizelinear = {
    .name = "QuantizeLinear",
    .doc = "Numbers as small integers or floats, by a scale and a zero point.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .lower = lower,
};
