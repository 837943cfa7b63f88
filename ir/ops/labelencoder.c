#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"default_float", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = -0},
    {"default_int64", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = -1},
    {"default_string", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "_Unused"},
    {"default_tensor", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {"keys_floats", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"keys_int64s", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"keys_strings", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"keys_tensor", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {"values_floats", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"values_int64s", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"values_strings", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"values_tensor", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {NULL},
};

static bool has(const gml_infer *cx, const char *name)
{
    return gml_node_find_attr(cx->node, name) != NULL;
}

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES | GML_SET(I16) | GML_SET_STRING));
    const gml_attr *tensor = gml_node_find_attr(cx->node, "values_tensor");
    gml_dtype dtype = GML_NONE;
    if (tensor != NULL)
        dtype = tensor->as.t->dtype;
    else if (has(cx, "values_strings"))
        dtype = GML_STRING;
    else if (has(cx, "values_int64s"))
        dtype = GML_I64;
    else if (has(cx, "values_floats"))
        dtype = GML_F32;
    if (dtype == GML_NONE)
        return gml_infer_fail(cx, GML_E_INVALID, "there are no values");
    return gml_infer_shaped(cx, 0, 0, dtype);
}

const gml_op_info gml_op_labelencoder = {
    .name = "LabelEncoder",
    .domain = "ai.onnx.ml",
    .doc = "Replaces keys by values.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .host = "labelencoder",
};
