/* ir/ops/dequantizelinear.c - DequantizeLinear: (x - zero point) scale, computed in f32. */
#include "ir/elementwise.h"
#include "ir/quantize.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"block_size", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"output_dtype", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER));
    GML_TRY(gml_infer_require(cx, 1, GML_IS_FLOAT));
    GML_TRY(gml_infer_require(cx, 2, GML_IS_NUMBER));
    for (unsigned k = 1; k < 3; k++)
        GML_TRY(gml_infer_scale(cx, k));
    gml_type type = *gml_operand_type(cx->node, 0);
    if (gml_has_operand(cx->node, 2) && gml_operand_type(cx->node, 2)->dtype != type.dtype)
        return gml_infer_fail(cx, GML_E_TYPE, "the zero point is not of type %s",
                              gml_dtype_name(type.dtype));
    type.dtype = gml_operand_type(cx->node, 1)->dtype;
    if (gml_dtype_bits(type.dtype) <= 8) /* a scale that is a power of two */
        type.dtype = GML_F32;
    int64_t wanted = gml_node_int(cx->node, "output_dtype", 0);
    if (wanted) {
        if (wanted < 0 || wanted >= GML_DTYPE_COUNT || !gml_dtype_is_float((gml_dtype)wanted))
            return gml_infer_fail(cx, GML_E_TYPE, "output_dtype is %lld, which is no float",
                                  (long long)wanted);
        type.dtype = (gml_dtype)wanted;
    }
    return gml_infer_set_type(cx, 0, type);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_expr *value = gml_cast(x, gml_at(x, 0, index), GML_F32);
    if (gml_has_operand(node, 2))
        value = gml_sub(x, value, gml_cast(x, gml_at_scale(x, 2, index), GML_F32));
    const gml_expr *scale = gml_cast(x, gml_at_scale(x, 1, index), GML_F32);
    return gml_cast(x, gml_mul(x, value, scale), gml_result_dtype(x, result));
}

const gml_op_info gml_op_dequantizelinear = {
    .name = "DequantizeLinear",
    .doc = "The numbers that quantised ones stand for.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
};
