#include "runtime/host/tree_util.h"

#include <inttypes.h>
#include <math.h>

static bool is_member(const gml_forest *forest, const gml_tree_node *node, double x)
{
    for (int64_t i = node->first; i < node->first + node->count; i++) {
        if (gml_host_get_float(&forest->members, i) == x)
            return true;
    }
    return false;
}

static bool decide(const gml_forest *forest, const gml_tree_node *node, double x)
{
    if (isnan(x) && node->missing_is_true)
        return true;
    switch (node->mode) {
    case GML_TREE_LEQ: return x <= node->split;
    case GML_TREE_LT: return x < node->split;
    case GML_TREE_GTE: return x >= node->split;
    case GML_TREE_GT: return x > node->split;
    case GML_TREE_EQ: return x == node->split;
    case GML_TREE_NEQ: return x != node->split;
    case GML_TREE_MEMBER: return is_member(forest, node, x);
    case GML_TREE_LEAF: break;
    }
    return false;
}

/* The leaf that a row reaches, or NULL. */
static const gml_tree_node *walk(const gml_forest *forest, const gml_features *features,
                                 int64_t row, int64_t root)
{
    const gml_tree_node *node = &forest->nodes[root];
    for (int64_t steps = 0; steps <= forest->n_nodes; steps++) {
        if (node->mode == GML_TREE_LEAF)
            return node;
        double x = gml_host_get_float(features->x, row * features->width + node->feature);
        node = &forest->nodes[decide(forest, node, x) ? node->yes : node->no];
    }
    return NULL;
}

static void add_weight(gml_aggregate aggregate, double weight, double *score, bool *is_hit)
{
    switch (aggregate) {
    case GML_AGGREGATE_AVERAGE:
    case GML_AGGREGATE_SUM: *score += weight; break;
    case GML_AGGREGATE_MIN: *score = *is_hit ? fmin(*score, weight) : weight; break;
    case GML_AGGREGATE_MAX: *score = *is_hit ? fmax(*score, weight) : weight; break;
    }
    *is_hit = true;
}

gml_status gml_forest_score(const gml_forest *forest, gml_host_call *call,
                            const gml_features *features, int64_t row, double *scores,
                            bool *is_hit)
{
    for (int64_t t = 0; t < forest->n_targets; t++) {
        scores[t] = 0;
        is_hit[t] = false;
    }
    for (int64_t i = 0; i < forest->n_roots; i++) {
        const gml_tree_node *leaf = walk(forest, features, row, forest->roots[i]);
        if (leaf == NULL)
            return gml_host_fail(call, GML_E_INVALID, "tree %" PRId64 " has a cycle", i);
        for (int64_t w = leaf->first; w < leaf->first + leaf->count; w++) {
            const gml_tree_weight *weight = &forest->weights[w];
            add_weight(forest->aggregate, weight->weight, &scores[weight->target],
                       &is_hit[weight->target]);
        }
    }
    for (int64_t t = 0; forest->aggregate == GML_AGGREGATE_AVERAGE && t < forest->n_targets;
         t++)
        scores[t] /= (double)forest->n_roots;
    return GML_OK;
}
