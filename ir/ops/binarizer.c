#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"threshold", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES));
    return gml_infer_same(cx);
}

const gml_op_info gml_op_binarizer = {
    .name = "Binarizer",
    .domain = "ai.onnx.ml",
    .doc = "1 for what is above a threshold, else 0.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .host = "binarizer",
};
