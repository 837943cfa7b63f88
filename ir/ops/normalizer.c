#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"norm", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "MAX"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES));
    return gml_infer_shaped(cx, 0, 0, GML_F32);
}

const gml_op_info gml_op_normalizer = {
    .name = "Normalizer",
    .domain = "ai.onnx.ml",
    .doc = "Features divided by the norm of their row.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "normalizer",
};
