#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"classlabels_ints", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"classlabels_strings", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"coefficients", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"kernel_params", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"kernel_type", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "LINEAR"},
    {"post_transform", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "NONE"},
    {"prob_a", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"prob_b", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"rho", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"support_vectors", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"vectors_per_class", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
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

const gml_op_info gml_op_svmclassifier = {
    .name = "SVMClassifier",
    .domain = "ai.onnx.ml",
    .doc = "Classes by support vectors.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 2,
    .max_out = 2,
    .attrs = attrs,
    .infer = infer,
    .host = "svmclassifier",
};
