#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"dtype", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"seed", GML_ATTR_FLOAT, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    gml_dtype dtype = GML_NONE;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FLOATS));
    GML_TRY(gml_infer_attr_dtype(cx, "dtype", gml_operand_type(cx->node, 0)->dtype,
                                 GML_SET_NUMBERS | GML_SET(BOOL), &dtype));
    return gml_infer_shaped(cx, 0, 0, dtype);
}

const gml_op_info gml_op_bernoulli = {
    .name = "Bernoulli",
    .doc = "Ones and zeros, by the probability of each being one.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_EFFECT,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .host = "bernoulli",
};
