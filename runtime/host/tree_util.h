/* runtime/host/tree_util.h - decision trees: nodes in one array, leaves with weights for
 * targets.
 *
 * Both descriptions of ONNX become this one form: TreeEnsemble (ids are positions) and its
 * predecessors (ids are pairs of tree and node). Everything is checked when it is built, except
 * for cycles: a walk that takes more steps than there are nodes ends without a leaf. */
#ifndef GML_RUNTIME_HOST_TREE_UTIL_H
#define GML_RUNTIME_HOST_TREE_UTIL_H

#include "runtime/host/ml_util.h"

typedef enum gml_tree_mode { /* the numbers of TreeEnsemble's nodes_modes */
                             GML_TREE_LEQ,
                             GML_TREE_LT,
                             GML_TREE_GTE,
                             GML_TREE_GT,
                             GML_TREE_EQ,
                             GML_TREE_NEQ,
                             GML_TREE_MEMBER,
                             GML_TREE_LEAF,
} gml_tree_mode;

typedef struct gml_tree_node {
    gml_tree_mode mode;
    bool missing_is_true; /* where NaN goes */
    int64_t feature;
    double split;
    int64_t yes, no;      /* positions of the children */
    int64_t first, count; /* of a leaf: its weights; of MEMBER: its set */
} gml_tree_node;

typedef struct gml_tree_weight {
    int64_t target;
    double weight;
} gml_tree_weight;

typedef enum gml_aggregate { /* the numbers of TreeEnsemble's aggregate_function */
                             GML_AGGREGATE_AVERAGE,
                             GML_AGGREGATE_SUM,
                             GML_AGGREGATE_MIN,
                             GML_AGGREGATE_MAX,
} gml_aggregate;

typedef struct gml_forest {
    gml_tree_node *nodes;
    int64_t n_nodes;
    int64_t *roots;
    int64_t n_roots;
    gml_tree_weight *weights;
    int64_t n_targets;
    gml_tensor members; /* the sets of MEMBER nodes */
    gml_aggregate aggregate;
} gml_forest;

/* Scores of row `row` into `scores` (n_targets), not transformed, without base values. `is_hit`
 * (n_targets) says which targets some tree had a weight for. */
gml_status gml_forest_score(const gml_forest *forest, gml_host_call *call,
                            const gml_features *features, int64_t row, double *scores,
                            bool *is_hit);

/* From the attributes of TreeEnsembleClassifier and -Regressor; `prefix` is "class" or
 * "target". */
gml_status gml_forest_init_pairs(gml_forest *forest, gml_host_call *call, const char *prefix,
                                 int64_t width, gml_scratch *scratch);

#endif
