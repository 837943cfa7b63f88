#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"dtype", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"high", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1},
    {"low", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {"seed", GML_ATTR_FLOAT, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    gml_dtype dtype = GML_NONE;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_ANY));
    GML_TRY(gml_infer_attr_dtype(cx, "dtype", gml_operand_type(cx->node, 0)->dtype,
                                 GML_SET_FLOATS, &dtype));
    return gml_infer_shaped(cx, 0, 0, dtype);
}

const gml_op_info gml_op_randomuniformlike = {
    .name = "RandomUniformLike",
    .doc = "Evenly distributed numbers in the shape of the operand.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_EFFECT,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .host = "randomuniformlike",
};
