/* passes/dce.c - removes nodes whose results nobody uses.
 *
 * Walks backwards, so that one pass is enough: a node's users come after it and are gone
 * already if they were dead. A use inside a region counts as long as the region's node lives,
 * so a node that goes takes the uses of its regions along. Nodes with an effect stay. Results
 * that became constants are used through their value, not through their node, and keep nothing
 * alive. What a node took sizes to be to each other is kept in the graph: shapes that live on
 * may have been inferred from it. */
#include "ir/op.h"
#include "passes/pass.h"

static void forget_region(const gml_graph *region, uint32_t *uses);

/* Takes the uses that `node` makes out of the counts. */
static void forget_uses(const gml_node *node, uint32_t *uses)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        if (node->operands[k])
            uses[node->operands[k]->id]--;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].kind == GML_ATTR_GRAPH)
            forget_region(node->attrs[i].as.graph, uses);
}

static void forget_region(const gml_graph *region, uint32_t *uses)
{
    for (const gml_node *node = region->first; node; node = node->next)
        forget_uses(node, uses);
    for (uint32_t r = 0; r < region->n_results; r++)
        uses[region->results[r]->id]--;
}

static bool is_dead(const gml_node *node, const uint32_t *uses)
{
    if (node->op->traits & GML_EFFECT)
        return false;
    for (uint32_t r = 0; r < node->n_results; r++)
        if (uses[node->results[r].id] != 0)
            return false;
    return true;
}

static void sweep(gml_graph *graph, uint32_t *uses, bool *changed)
{
    gml_node *prev = NULL;
    for (gml_node *node = graph->last; node; node = prev) {
        prev = node->prev;
        if (!is_dead(node, uses)) {
            for (uint32_t i = 0; i < node->n_attrs; i++)
                if (node->attrs[i].kind == GML_ATTR_GRAPH)
                    sweep(node->attrs[i].as.graph, uses, changed);
            continue;
        }
        forget_uses(node, uses);
        gml_node_retire(node);
        *changed = true;
    }
}

gml_status gml_pass_dce(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    uint32_t *uses = gml_graph_count_uses(graph, cx->scratch);
    sweep(graph, uses, out_changed);
    return GML_OK;
}
