#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"cast_to", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "TO_FLOAT"},
    {"map_form", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "DENSE"},
    {"max_map", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = gml_operand_type(cx->node, 0);
    if (x->kind != GML_TYPE_MAP || x->dtype != GML_I64)
        return gml_infer_fail(cx, GML_E_TYPE, "operand 0 is not a map from integers");
    gml_dtype dtype = gml_node_string_is(cx->node, "cast_to", "TO_STRING")  ? GML_STRING
                      : gml_node_string_is(cx->node, "cast_to", "TO_INT64") ? GML_I64
                                                                            : GML_F32;
    bool is_sparse = gml_node_string_is(cx->node, "map_form", "SPARSE");
    int64_t width = gml_node_int(cx->node, "max_map", 1);
    if (is_sparse && (width < 0 || width >= GML_DIM_LIMIT))
        return gml_infer_fail(cx, GML_E_RANGE, "max_map is %lld", (long long)width);
    gml_dim dims[2] = {1, is_sparse ? width : gml_dim_fresh(cx->dims, "map")};
    return gml_infer_set(cx, 0, dtype, 2, dims);
}

const gml_op_info gml_op_castmap = {
    .name = "CastMap",
    .domain = "ai.onnx.ml",
    .doc = "The values of a map as a row.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "castmap",
};
