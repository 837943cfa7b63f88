#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"base_values", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"base_values_as_tensor", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {"class_ids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"class_nodeids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"class_treeids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"class_weights", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"class_weights_as_tensor", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {"classlabels_int64s", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"classlabels_strings", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"nodes_falsenodeids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"nodes_featureids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"nodes_hitrates", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"nodes_hitrates_as_tensor", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {"nodes_missing_value_tracks_true", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"nodes_modes", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"nodes_nodeids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"nodes_treeids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"nodes_truenodeids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"nodes_values", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"nodes_values_as_tensor", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {"post_transform", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "NONE"},
    {NULL},
};

/* (rows) labels and (rows, scores) scores; a vector is one row. */
static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    if (x->rank < 1 || x->rank > 2)
        return gml_infer_fail(cx, GML_E_SHAPE, "the features have rank %d, not 1 or 2",
                              x->rank);
    const gml_attr *strings = gml_node_find_attr(cx->node, "classlabels_strings");
    bool is_text = strings != NULL && strings->count > 0;
    gml_dim dims[2] = {x->rank == 2 ? x->dims[0] : 1, gml_dim_fresh(cx->dims, "scores")};
    GML_TRY(gml_infer_set(cx, 0, is_text ? GML_STRING : GML_I64, 1, dims));
    return gml_infer_set(cx, 1, GML_F32, 2, dims);
}

const gml_op_info gml_op_treeensembleclassifier = {
    .name = "TreeEnsembleClassifier",
    .domain = "ai.onnx.ml",
    .doc = "Classes by decision trees.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 2,
    .max_out = 2,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .host = "treeensembleclassifier",
};
