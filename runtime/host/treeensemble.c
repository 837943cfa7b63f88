/* runtime/host/treeensemble.c - trees whose ids are positions in the lists of nodes and of
 * leaves. */
#include "runtime/host/tree_util.h"

#include <inttypes.h>
#include <math.h>

typedef struct lists {
    const int64_t *features, *yes, *no, *yes_is_leaf, *no_is_leaf, *missing, *targets;
    const gml_tensor *modes, *splits, *weights, *members;
    int64_t n_nodes, n_leaves;
} lists;

static gml_status read_lists(gml_host_call *call, lists *l)
{
    static const char *const names[] = {"nodes_featureids", "nodes_truenodeids",
                                        "nodes_falsenodeids", "nodes_trueleafs",
                                        "nodes_falseleafs"};
    const int64_t **ints[] = {&l->features, &l->yes, &l->no, &l->yes_is_leaf, &l->no_is_leaf};
    size_t count = 0;
    l->modes = gml_host_attr_tensor(call, "nodes_modes");
    l->splits = gml_host_attr_tensor(call, "nodes_splits");
    l->weights = gml_host_attr_tensor(call, "leaf_weights");
    l->members = gml_host_attr_tensor(call, "membership_values");
    if (l->modes == NULL || l->splits == NULL || l->weights == NULL)
        return gml_host_fail(call, GML_E_INVALID, "modes, splits or leaf weights are missing");
    l->n_nodes = gml_tensor_numel(l->modes);
    l->n_leaves = gml_tensor_numel(l->weights);
    for (int i = 0; i < 5; i++) {
        *ints[i] = gml_host_ints(call, names[i], &count);
        if ((int64_t)count != l->n_nodes || (count > 0 && *ints[i] == NULL))
            return gml_host_fail(call, GML_E_INVALID,
                                 "%s has %zu entries for %" PRId64 " nodes", names[i], count,
                                 l->n_nodes);
    }
    l->targets = gml_host_ints(call, "leaf_targetids", &count);
    if ((int64_t)count != l->n_leaves || (count > 0 && l->targets == NULL) ||
        gml_tensor_numel(l->splits) != l->n_nodes)
        return gml_host_fail(call, GML_E_INVALID, "leaves or splits do not have one length");
    l->missing = gml_host_ints(call, "nodes_missing_value_tracks_true", &count);
    if ((int64_t)count != l->n_nodes)
        l->missing = NULL;
    return GML_OK;
}

/* Leaves follow the nodes in the forest's array. -1: outside. */
static int64_t child_of(const lists *l, int64_t id, bool is_leaf)
{
    int64_t limit = is_leaf ? l->n_leaves : l->n_nodes;
    if (id < 0 || id >= limit)
        return -1;
    return is_leaf ? l->n_nodes + id : id;
}

static gml_status fill_nodes(gml_forest *forest, gml_host_call *call, const lists *l,
                             int64_t width)
{
    for (int64_t i = 0; i < l->n_nodes; i++) {
        gml_tree_node *node = &forest->nodes[i];
        int64_t mode = gml_host_get_int(l->modes, i);
        if (mode < GML_TREE_LEQ || mode > GML_TREE_MEMBER)
            return gml_host_fail(call, GML_E_INVALID, "node %" PRId64 " has mode %" PRId64, i,
                                 mode);
        *node = (gml_tree_node){
            .mode = (gml_tree_mode)mode,
            .missing_is_true = l->missing != NULL && l->missing[i] != 0,
            .feature = l->features[i],
            .split = gml_host_get_float(l->splits, i),
            .yes = child_of(l, l->yes[i], l->yes_is_leaf[i] != 0),
            .no = child_of(l, l->no[i], l->no_is_leaf[i] != 0),
        };
        if (node->yes < 0 || node->no < 0 || node->feature < 0 || node->feature >= width)
            return gml_host_fail(call, GML_E_RANGE,
                                 "node %" PRId64 " has no child, or no feature of %" PRId64, i,
                                 width);
    }
    for (int64_t i = 0; i < l->n_leaves; i++) {
        if (l->targets[i] < 0 || l->targets[i] >= forest->n_targets)
            return gml_host_fail(call, GML_E_RANGE,
                                 "leaf %" PRId64 " has target %" PRId64 " of %" PRId64, i,
                                 l->targets[i], forest->n_targets);
        forest->nodes[l->n_nodes + i] =
            (gml_tree_node){.mode = GML_TREE_LEAF, .first = i, .count = 1};
        forest->weights[i] =
            (gml_tree_weight){l->targets[i], gml_host_get_float(l->weights, i)};
    }
    return GML_OK;
}

/* Sets stand in the order of their nodes; NaN ends each. */
static gml_status place_sets(gml_forest *forest, gml_host_call *call, const lists *l)
{
    int64_t at = 0;
    int64_t count = l->members != NULL ? gml_tensor_numel(l->members) : 0;
    for (int64_t i = 0; i < l->n_nodes; i++) {
        gml_tree_node *node = &forest->nodes[i];
        if (node->mode != GML_TREE_MEMBER)
            continue;
        node->first = at;
        while (at < count && !isnan(gml_host_get_float(l->members, at)))
            at++;
        if (at == count)
            return gml_host_fail(call, GML_E_INVALID,
                                 "membership_values end before the set of node %" PRId64, i);
        node->count = at++ - node->first;
    }
    if (count > 0)
        forest->members = *l->members;
    return GML_OK;
}

static gml_status build(gml_forest *forest, gml_host_call *call, int64_t width,
                        gml_scratch *scratch)
{
    lists l = {0};
    size_t n_roots = 0;
    GML_TRY(read_lists(call, &l));
    const int64_t *roots = gml_host_ints(call, "tree_roots", &n_roots);
    forest->n_nodes = l.n_nodes + l.n_leaves;
    forest->nodes = gml_scratch_array(scratch, gml_tree_node, forest->n_nodes);
    forest->weights = gml_scratch_array(scratch, gml_tree_weight, l.n_leaves);
    forest->roots = gml_scratch_array(scratch, int64_t, n_roots);
    if (forest->nodes == NULL || forest->weights == NULL || forest->roots == NULL)
        return gml_host_no_memory(call);
    for (size_t i = 0; i < n_roots; i++) {
        if (roots[i] < 0 || roots[i] >= l.n_nodes)
            return gml_host_fail(call, GML_E_RANGE, "root %" PRId64 " is no node", roots[i]);
        forest->roots[forest->n_roots++] = roots[i];
    }
    GML_TRY(fill_nodes(forest, call, &l, width));
    return place_sets(forest, call, &l);
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    gml_features f = {0};
    gml_forest forest = {.n_targets = gml_host_int(call, "n_targets", 1)};
    int64_t aggregate = gml_host_int(call, "aggregate_function", GML_AGGREGATE_SUM);
    int64_t transform = gml_host_int(call, "post_transform", GML_TRANSFORM_NONE);
    GML_TRY(gml_host_features(call, &f));
    if (aggregate < 0 || aggregate > GML_AGGREGATE_MAX || transform < 0 ||
        transform > GML_TRANSFORM_PROBIT || forest.n_targets < 1)
        return gml_host_fail(call, GML_E_INVALID,
                             "aggregate_function %" PRId64 ", post_transform %" PRId64
                             ", n_targets %" PRId64,
                             aggregate, transform, forest.n_targets);
    forest.aggregate = (gml_aggregate)aggregate;
    GML_TRY(build(&forest, call, f.width, scratch));
    double *scores = gml_scratch_array(scratch, double, forest.n_targets);
    bool *is_hit = gml_scratch_array(scratch, bool, forest.n_targets);
    if (scores == NULL || is_hit == NULL)
        return gml_host_no_memory(call);
    const gml_tensor *y = NULL; /* (rows, targets) */
    GML_TRY(gml_host_alloc(call, 0, f.x->dtype, 2, (const int64_t[]){f.rows, forest.n_targets},
                           &y));
    for (int64_t row = 0; row < f.rows; row++) {
        GML_TRY(gml_forest_score(&forest, call, &f, row, scores, is_hit));
        gml_transform_scores((gml_transform)transform, scores, forest.n_targets);
        for (int64_t t = 0; t < forest.n_targets; t++)
            gml_host_put(y, row * forest.n_targets + t, scores[t]);
    }
    return GML_OK;
}

gml_status gml_host_treeensemble(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
