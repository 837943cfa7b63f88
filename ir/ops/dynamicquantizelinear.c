/* ir/ops/dynamicquantizelinear.c - DynamicQuantizeLinear: QuantizeLinear to u8 with the scale
 * and zero point that make the data, and 0, just fit.
 *
 *   scale = (max(0, x) - min(0, x)) / 255, or 1 / 255 when all are 0
 *   zero  = round(limit(-min / scale)) */
#include "ir/elementwise.h"

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    gml_type type = *gml_operand_type(cx->node, 0);
    gml_dtype dtype = type.dtype;
    type.dtype = GML_U8;
    GML_TRY(gml_infer_set_type(cx, 0, type));
    GML_TRY(gml_infer_set(cx, 1, dtype, 0, NULL));
    return gml_infer_set(cx, 2, GML_U8, 0, NULL);
}

static gml_value *or_zero(gml_build *b, const gml_op_info *reduce, const gml_op_info *choose,
                          gml_value *x)
{
    gml_value *extreme = gml_build_reduce(b, reduce, x, NULL, 0, false);
    gml_value *zero = gml_build_scalar(b, x->type.dtype, 0.0);
    return gml_build_binary(b, choose, extreme, zero);
}

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    gml_value *x = cx->node->operands[0];
    gml_dtype dtype = x->type.dtype;
    gml_value *high = or_zero(&b, &gml_op_reducemax, &gml_op_max, x);
    gml_value *low = or_zero(&b, &gml_op_reducemin, &gml_op_min, x);
    gml_value *span = gml_build_binary(&b, &gml_op_sub, high, low);
    gml_value *flat = gml_build_binary(&b, &gml_op_equal, high, low);
    gml_value *choices[] = {flat, gml_build_scalar(&b, dtype, 1.0), span};
    span = gml_build_op(&b, &gml_op_where, choices, 3, NULL, 0);
    gml_value *most = gml_build_scalar(&b, dtype, 255.0);
    gml_value *scale = gml_build_binary(&b, &gml_op_div, span, most);
    gml_value *offset = gml_build_binary(&b, &gml_op_div, low, scale);
    offset = gml_build_binary(&b, &gml_op_sub, gml_build_scalar(&b, dtype, 0.0), offset);
    gml_value *limits[] = {offset, gml_build_scalar(&b, dtype, 0.0), most};
    gml_value *limited = gml_build_op(&b, &gml_op_clip, limits, 3, NULL, 0);
    gml_value *zero = gml_build_cast(&b, gml_build_unary(&b, &gml_op_round, limited), GML_U8);
    gml_value *operands[] = {x, scale, zero};
    gml_value *results[] = {gml_build_op(&b, &gml_op_quantizelinear, operands, 3, NULL, 0),
                            scale, zero};
    for (uint32_t i = 0; i < cx->node->n_results; i++)
        cx->results[i] = results[i];
    return b.status;
}

const gml_op_info gml_op_dynamicquantizelinear = {
    .name = "DynamicQuantizeLinear",
    .doc = "Floats as u8, by the scale and zero point that fit them, which are results too.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 3,
    .infer = infer,
    .expand = expand,
};
