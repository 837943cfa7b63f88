/* passes/infer.c - infers types, takes branches that are decided, drops what only forwards.
 *
 * Both must happen in one walk: the branch of an If that is not taken often does not fit the
 * shapes at hand, and what follows an If can only be inferred once its branch is known. A
 * branch whose condition is constant is spliced in place of its node. Faults do not stop the
 * walk, so that all are reported. */
#include "ir/op.h"
#include "passes/expand.h"

static gml_graph *taken_branch(const gml_node *node)
{
    if (!(node->op->traits & GML_BRANCHES) || !node->operands[0]->constant)
        return NULL;
    const gml_tensor *cond = node->operands[0]->constant;
    if (cond->dtype != GML_BOOL || gml_tensor_numel(cond) != 1)
        return NULL;
    return gml_node_region(node, *(const uint8_t *)cond->data ? "then_branch" : "else_branch");
}

/* Moves the nodes of `branch` before `node` and lets its results stand for the node's. */
static void splice(gml_node *node, gml_graph *branch)
{
    gml_graph_splice(branch, node);
    for (uint32_t r = 0; r < node->n_results && r < branch->n_results; r++)
        gml_value_replace(&node->results[r], branch->results[r]);
    gml_node_retire(node);
}

/* Shape arithmetic in composites (CastLike, Clip, …) is only known once they are expanded. */
static bool decides_shapes(const gml_node *node)
{
    const gml_type *type = &node->results[0].type;
    if (!node->op->expand || node->results[0].constant || node->n_results != 1 ||
        type->kind != GML_TYPE_TENSOR || !gml_type_is_static(type) || type->rank > 1 ||
        (type->rank == 1 && type->dims[0] > 64))
        return false;
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k] && !node->operands[k]->constant && !node->operands[k]->elements)
            return false;
    return true;
}

/* Infers `node` and returns where to go on. */
static gml_node *infer_node(gml_node *node, gml_pass_cx *cx, gml_status *status,
                            bool *out_changed)
{
    gml_graph *graph = node->graph;
    gml_node *prev = node->prev;
    gml_graph *branch = taken_branch(node);
    if (branch) {
        splice(node, branch);
        *out_changed = true;
        return prev ? prev->next : graph->first;
    }
    *status = gml_node_infer(node, cx->diags);
    gml_node *next = node->next;
    if (*status != GML_OK)
        return next;
    if (node->op->traits & GML_FORWARDS) {
        gml_value_replace(&node->results[0], node->operands[0]);
        gml_node_retire(node);
        *out_changed = true;
    } else if (decides_shapes(node)) {
        *status = gml_expand_node(node, cx);
        *out_changed = true;
    }
    return next;
}

gml_status gml_pass_infer(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    gml_status first = GML_OK;
    for (gml_node *node = graph->first; node;) {
        gml_status status = GML_OK;
        node = infer_node(node, cx, &status, out_changed);
        if (first == GML_OK)
            first = status;
    }
    return first;
}
