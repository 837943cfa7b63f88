#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"classlabels_int64s", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"classlabels_strings", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET(F32)));
    const gml_attr *strings = gml_node_find_attr(cx->node, "classlabels_strings");
    bool is_text = strings != NULL && strings->count > 0;
    gml_type map =
        gml_type_map(cx->arena, is_text ? GML_STRING : GML_I64, gml_type_scalar(GML_F32));
    return gml_infer_set_type(cx, 0, gml_type_sequence(cx->arena, map));
}

const gml_op_info gml_op_zipmap = {
    .name = "ZipMap",
    .domain = "ai.onnx.ml",
    .doc = "A map from class labels to scores for each row.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "zipmap",
};
