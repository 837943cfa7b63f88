/* runtime/host/tree_pairs_util.c - trees whose nodes are named by pairs (tree, node): sorted
 * once, then found by bisection. */
#include "runtime/host/tree_util.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct pairs {
    const int64_t *trees, *nodes;
    int64_t *order; /* of nodes, sorted by (tree, node) */
    int64_t count;
} pairs;

static int compare_pair(const pairs *p, int64_t tree, int64_t node, int64_t b)
{
    if (tree != p->trees[b])
        return tree > p->trees[b] ? 1 : -1;
    return (node > p->nodes[b]) - (node < p->nodes[b]);
}

static int compare(const void *context, int64_t a, int64_t b)
{
    const pairs *p = context;
    return compare_pair(p, p->trees[a], p->nodes[a], b);
}

/* The position of a node, or -1. */
static int64_t find_node(const pairs *p, int64_t tree, int64_t node)
{
    int64_t low = 0;
    int64_t high = p->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int order = compare_pair(p, tree, node, p->order[middle]);
        if (order == 0)
            return p->order[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

static bool parse_mode(gml_string text, gml_tree_mode *out_mode)
{
    static const struct {
        gml_string name;
        gml_tree_mode mode;
    } rows[] = {
        {{"BRANCH_LEQ", 10}, GML_TREE_LEQ}, {{"BRANCH_LT", 9}, GML_TREE_LT},
        {{"BRANCH_GTE", 10}, GML_TREE_GTE}, {{"BRANCH_GT", 9}, GML_TREE_GT},
        {{"BRANCH_EQ", 9}, GML_TREE_EQ},    {{"BRANCH_NEQ", 10}, GML_TREE_NEQ},
        {{"LEAF", 4}, GML_TREE_LEAF},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (gml_string_equal(rows[i].name, text)) {
            *out_mode = rows[i].mode;
            return true;
        }
    }
    return false;
}

/* An attribute with `count` numbers: NAME or NAME_as_tensor. False when it has another length.
 */
static bool find_numbers(gml_host_call *call, const char *name, int64_t count, gml_tensor *out)
{
    char as_tensor[64];
    snprintf(as_tensor, sizeof as_tensor, "%s_as_tensor", name);
    if (!gml_host_attr_vector(call, as_tensor, out) && !gml_host_attr_vector(call, name, out))
        return false;
    return out->dims[0] == count;
}

/* The lists of integers that describe the nodes. */
typedef struct node_lists {
    const int64_t *features, *yes, *no, *missing;
    const gml_string *modes;
    gml_tensor splits;
} node_lists;

static gml_status read_lists(gml_host_call *call, pairs *p, node_lists *lists)
{
    static const char *const names[] = {"nodes_treeids", "nodes_nodeids", "nodes_featureids",
                                        "nodes_truenodeids", "nodes_falsenodeids"};
    const int64_t **ints[] = {&p->trees, &p->nodes, &lists->features, &lists->yes, &lists->no};
    size_t n = 0;
    size_t count = 0;
    lists->modes = gml_host_attr_strings(call, "nodes_modes", &n);
    for (int i = 0; i < 5; i++) {
        *ints[i] = gml_host_ints(call, names[i], &count);
        if (count != n || (n > 0 && *ints[i] == NULL))
            return gml_host_fail(call, GML_E_INVALID, "%s has %zu entries, nodes_modes %zu",
                                 names[i], count, n);
    }
    p->count = (int64_t)n;
    if (!find_numbers(call, "nodes_values", p->count, &lists->splits))
        return gml_host_fail(call, GML_E_INVALID, "there is not one nodes_values per node");
    lists->missing = gml_host_ints(call, "nodes_missing_value_tracks_true", &count);
    if (count != n)
        lists->missing = NULL;
    return GML_OK;
}

static gml_status fill_nodes(gml_forest *forest, gml_host_call *call, const pairs *p,
                             const node_lists *lists, int64_t width)
{
    for (int64_t i = 0; i < p->count; i++) {
        gml_tree_node *node = &forest->nodes[i];
        if (!parse_mode(lists->modes[i], &node->mode))
            return gml_host_fail(call, GML_E_INVALID,
                                 "the mode of node %" PRId64 " is not known", i);
        if (node->mode == GML_TREE_LEAF)
            continue;
        node->feature = lists->features[i];
        node->split = gml_host_get_float(&lists->splits, i);
        node->missing_is_true = lists->missing != NULL && lists->missing[i] != 0;
        node->yes = find_node(p, p->trees[i], lists->yes[i]);
        node->no = find_node(p, p->trees[i], lists->no[i]);
        if (node->yes < 0 || node->no < 0 || node->feature < 0 || node->feature >= width)
            return gml_host_fail(call, GML_E_RANGE,
                                 "node %" PRId64 " has no child, or no feature of %" PRId64, i,
                                 width);
    }
    return GML_OK;
}

/* The root of a tree is its first node in the lists. */
static bool find_roots(gml_forest *forest, const pairs *p, gml_scratch *scratch)
{
    forest->roots = gml_scratch_array(scratch, int64_t, p->count);
    if (forest->roots == NULL)
        return false;
    for (int64_t i = 0; i < p->count; i++) {
        int64_t node = p->order[i];
        bool is_new = i == 0 || p->trees[node] != p->trees[p->order[i - 1]];
        if (is_new)
            forest->roots[forest->n_roots++] = node;
        else if (node < forest->roots[forest->n_roots - 1])
            forest->roots[forest->n_roots - 1] = node;
    }
    return true;
}

typedef struct weight_lists {
    const int64_t *trees, *nodes, *targets;
    gml_tensor weights;
    int64_t count;
} weight_lists;

static gml_status read_weights(gml_host_call *call, const char *prefix, weight_lists *lists)
{
    char name[64];
    size_t n[3] = {0};
    snprintf(name, sizeof name, "%s_treeids", prefix);
    lists->trees = gml_host_ints(call, name, &n[0]);
    snprintf(name, sizeof name, "%s_nodeids", prefix);
    lists->nodes = gml_host_ints(call, name, &n[1]);
    snprintf(name, sizeof name, "%s_ids", prefix);
    lists->targets = gml_host_ints(call, name, &n[2]);
    snprintf(name, sizeof name, "%s_weights", prefix);
    lists->count = (int64_t)n[0];
    if (n[1] != n[0] || n[2] != n[0] ||
        !find_numbers(call, name, lists->count, &lists->weights))
        return gml_host_fail(call, GML_E_INVALID,
                             "the lists of the leaves' weights have "
                             "different lengths");
    return GML_OK;
}

/* Weights grouped by leaf: counted, given room, then filled in. */
static gml_status place_weights(gml_forest *forest, gml_host_call *call, const pairs *p,
                                const weight_lists *lists, gml_scratch *scratch)
{
    int64_t *leaves = gml_scratch_array(scratch, int64_t, lists->count);
    forest->weights = gml_scratch_array(scratch, gml_tree_weight, lists->count);
    if (leaves == NULL || forest->weights == NULL)
        return gml_host_no_memory(call);
    for (int64_t i = 0; i < lists->count; i++) {
        leaves[i] = find_node(p, lists->trees[i], lists->nodes[i]);
        if (leaves[i] < 0 || lists->targets[i] < 0 || lists->targets[i] >= forest->n_targets)
            return gml_host_fail(call, GML_E_RANGE,
                                 "weight %" PRId64 " has no node, or no target of %" PRId64, i,
                                 forest->n_targets);
        forest->nodes[leaves[i]].count++;
    }
    int64_t first = 0;
    for (int64_t i = 0; i < forest->n_nodes; i++) {
        forest->nodes[i].first = first;
        first += forest->nodes[i].count;
        forest->nodes[i].count = 0;
    }
    for (int64_t i = 0; i < lists->count; i++) {
        gml_tree_node *leaf = &forest->nodes[leaves[i]];
        forest->weights[leaf->first + leaf->count++] =
            (gml_tree_weight){lists->targets[i], gml_host_get_float(&lists->weights, i)};
    }
    return GML_OK;
}

gml_status gml_forest_init_pairs(gml_forest *forest, gml_host_call *call, const char *prefix,
                                 int64_t width, gml_scratch *scratch)
{
    pairs p = {0};
    node_lists lists = {0};
    weight_lists weights = {0};
    GML_TRY(read_lists(call, &p, &lists));
    GML_TRY(read_weights(call, prefix, &weights));
    p.order = gml_scratch_array(scratch, int64_t, p.count);
    int64_t *spare = gml_scratch_array(scratch, int64_t, p.count);
    forest->nodes = gml_scratch_array(scratch, gml_tree_node, p.count);
    if (p.order == NULL || spare == NULL || forest->nodes == NULL)
        return gml_host_no_memory(call);
    forest->n_nodes = p.count;
    for (int64_t i = 0; i < p.count; i++)
        p.order[i] = i;
    gml_sort(p.order, spare, p.count, compare, &p);
    GML_TRY(fill_nodes(forest, call, &p, &lists, width));
    if (!find_roots(forest, &p, scratch))
        return gml_host_no_memory(call);
    return place_weights(forest, call, &p, &weights, scratch);
}
