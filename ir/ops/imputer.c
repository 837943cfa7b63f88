#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"imputed_value_floats", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"imputed_value_int64s", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"replaced_value_float", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {"replaced_value_int64", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES));
    return gml_infer_same(cx);
}

const gml_op_info gml_op_imputer = {
    .name = "Imputer",
    .domain = "ai.onnx.ml",
    .doc = "Fills in missing features.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "imputer",
};
