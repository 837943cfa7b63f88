/* passes/copies.c - a copy of a view for each of its users. */
#include "passes/costly.h"
#include "passes/region.h"

static gml_node *copy_node(gml_node *node)
{
    gml_node *copy = gml_node_create(node->graph, node->next, node->op, node->operands,
                                     node->n_operands, 1, node->loc);
    for (uint32_t i = 0; i < node->n_attrs; i++)
        gml_node_set_attr(copy, &node->attrs[i]);
    copy->results[0].type = node->results[0].type;
    copy->results[0].elements = node->results[0].elements;
    return copy;
}

/* The first user keeps the node; results of the graph and uses in regions keep it as well. */
static bool copy_for_users(gml_node *node)
{
    bool first = true;
    bool changed = false;
    for (gml_node *user = node->next; user; user = user->next)
        for (uint32_t k = 0; k < user->n_operands; k++) {
            if (user->operands[k] != &node->results[0])
                continue;
            if (!first) {
                user->operands[k] = &copy_node(node)->results[0];
                changed = true;
            }
            first = false;
        }
    return changed;
}

void gml_copy_views(gml_graph *graph, bool *out_changed)
{
    for (gml_node *node = graph->last; node; node = node->prev)
        if (gml_is_cheap_view(node) && gml_can_root(node) && copy_for_users(node))
            *out_changed = true;
}
