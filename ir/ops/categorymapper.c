#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"cats_int64s", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"cats_strings", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"default_int64", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = -1},
    {"default_string", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "_Unused"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET(I64) | GML_SET_STRING));
    bool from_string = gml_operand_type(cx->node, 0)->dtype == GML_STRING;
    return gml_infer_shaped(cx, 0, 0, from_string ? GML_I64 : GML_STRING);
}

const gml_op_info gml_op_categorymapper = {
    .name = "CategoryMapper",
    .domain = "ai.onnx.ml",
    .doc = "Replaces strings by integers, or integers by strings.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "categorymapper",
};
