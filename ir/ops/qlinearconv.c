/* ir/ops/qlinearconv.c - QLinearConv: a Conv of operands less their zero points, exact in i32,
 * then quantised again. The weight's scale and zero point may be one for each output channel.
 */
#include "ir/elementwise.h"
#include "ir/quantize.h"

static const gml_attr_spec attrs[] = {
    {"auto_pad", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "NOTSET"},
    {"dilations", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"group", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"kernel_shape", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"pads", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"strides", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    for (unsigned k = 0; k < 9; k++)
        GML_TRY(
            gml_infer_require(cx, k, k == 1 || k == 4 || k == 6 ? GML_IS_FLOAT : GML_IS_INT));
    gml_type type;
    GML_TRY(gml_infer_as(cx, &gml_op_conv, 0, 3, &type));
    const gml_type *zero;
    GML_TRY(gml_infer_tensor(cx, 7, &zero));
    type.dtype = zero->dtype;
    return gml_infer_set_type(cx, 0, type);
}

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    const gml_node *node = cx->node;
    int trailing = node->operands[3]->type.rank - 1;
    gml_value *w_zero = gml_build_channel_vector(&b, node->operands[5], trailing);
    gml_value *w_scale = gml_build_channel_vector(&b, node->operands[4], trailing - 1);
    gml_value *operands[] = {
        gml_build_centered(&b, node->operands[0], node->operands[2], GML_I32),
        gml_build_centered(&b, node->operands[3], w_zero, GML_I32),
        gml_has_operand(node, 8) ? node->operands[8] : NULL,
    };
    gml_value *sum = gml_build_op(&b, &gml_op_conv, operands, operands[2] ? 3 : 2, node->attrs,
                                  node->n_attrs);
    gml_value *scale = gml_build_binary(&b, &gml_op_mul, node->operands[1], w_scale);
    scale = gml_build_binary(&b, &gml_op_div, scale, node->operands[6]);
    sum = gml_build_cast(&b, sum, GML_F32);
    cx->results[0] = gml_build_requantize(&b, sum, scale, node->operands[7]);
    return b.status;
}

const gml_op_info gml_op_qlinearconv = {
    .name = "QLinearConv",
    .doc = "The convolution of quantised tensors, quantised.",
    .min_in = 8,
    .max_in = 9,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
