/* ir/ops/convinteger.c - ConvInteger: a Conv in i32 of operands less their zero points. Padding
 * adds zeros after that, which stand for the zero point. */
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
    for (unsigned k = 0; k < 4; k++)
        GML_TRY(gml_infer_require(cx, k, GML_IS_INT));
    gml_type type;
    GML_TRY(gml_infer_as(cx, &gml_op_conv, 0, 1, &type));
    return gml_infer_set_type(cx, 0, type);
}

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    const gml_node *node = cx->node;
    gml_value *x_zero = gml_has_operand(node, 2) ? node->operands[2] : NULL;
    gml_value *w_zero = gml_has_operand(node, 3) ? node->operands[3] : NULL;
    if (w_zero)
        w_zero = gml_build_channel_vector(&b, w_zero, node->operands[1]->type.rank - 1);
    gml_value *operands[] = {gml_build_centered(&b, node->operands[0], x_zero, GML_I32),
                             gml_build_centered(&b, node->operands[1], w_zero, GML_I32)};
    cx->results[0] = gml_build_op(&b, &gml_op_conv, operands, 2, node->attrs, node->n_attrs);
    return b.status;
}

const gml_op_info gml_op_convinteger = {
    .name = "ConvInteger",
    .doc = "The convolution of quantised tensors, as i32.",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
