#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"aggregate_function", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"leaf_targetids", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"leaf_weights", GML_ATTR_TENSOR, GML_ATTR_REQUIRED},
    {"membership_values", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {"n_targets", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"nodes_falseleafs", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"nodes_falsenodeids", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"nodes_featureids", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"nodes_hitrates", GML_ATTR_TENSOR, GML_ATTR_OPTIONAL},
    {"nodes_missing_value_tracks_true", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"nodes_modes", GML_ATTR_TENSOR, GML_ATTR_REQUIRED},
    {"nodes_splits", GML_ATTR_TENSOR, GML_ATTR_REQUIRED},
    {"nodes_trueleafs", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"nodes_truenodeids", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"post_transform", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"tree_roots", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FLOATS));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    int64_t targets = gml_node_int(cx->node, "n_targets", 1);
    if (x->rank < 1 || x->rank > 2 || targets < 1 || targets >= GML_DIM_LIMIT)
        return gml_infer_fail(cx, GML_E_SHAPE, "features of rank %d for %lld targets", x->rank,
                              (long long)targets);
    gml_dim rows = x->rank == 2 ? x->dims[0] : 1;
    return gml_infer_set(cx, 0, x->dtype, 2, (const gml_dim[]){rows, targets});
}

const gml_op_info gml_op_treeensemble = {
    .name = "TreeEnsemble",
    .domain = "ai.onnx.ml",
    .doc = "Scores by decision trees.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .host = "treeensemble",
};
