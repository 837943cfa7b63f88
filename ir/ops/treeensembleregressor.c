#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"aggregate_function", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "SUM"},
    {"base_values", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"base_values_as_tensor", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {"n_targets", GML_ATTR_INT, GML_ATTR_OPTIONAL},
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
    {"target_ids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"target_nodeids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"target_treeids", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"target_weights", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"target_weights_as_tensor", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    int64_t targets = gml_node_int(cx->node, "n_targets", 1);
    if (x->rank < 1 || x->rank > 2 || targets < 1 || targets >= GML_DIM_LIMIT)
        return gml_infer_fail(cx, GML_E_SHAPE, "features of rank %d for %lld targets", x->rank,
                              (long long)targets);
    gml_dim rows = x->rank == 2 ? x->dims[0] : 1;
    return gml_infer_set(cx, 0, GML_F32, 2, (const gml_dim[]){rows, targets});
}

const gml_op_info gml_op_treeensembleregressor = {
    .name = "TreeEnsembleRegressor",
    .domain = "ai.onnx.ml",
    .doc = "Scores by decision trees.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .host = "treeensembleregressor",
};
