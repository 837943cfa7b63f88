#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"offset", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"scale", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES));
    return gml_infer_shaped(cx, 0, 0, GML_F32);
}

const gml_op_info gml_op_scaler = {
    .name = "Scaler",
    .domain = "ai.onnx.ml",
    .doc = "Features less an offset, times a scale.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "scaler",
};
