/* passes/expand.c - replaces composite operators by simpler ones.
 *
 * What an expansion makes is looked at in turn, so composites of composites come down to
 * primitives. Nodes whose results are all constants by now are left alone: nobody will run
 * them. */
#include "passes/expand.h"

#include "ir/op.h"

/* An operator that expands into itself would never end. */
#define GML_MAX_EXPANSIONS 1000000

static bool is_constant(const gml_node *node)
{
    for (uint32_t r = 0; r < node->n_results; r++)
        if (!node->results[r].constant)
            return false;
    return true;
}

gml_status gml_expand_node(gml_node *node, gml_pass_cx *cx)
{
    gml_module *module = cx->module;
    gml_value **results = gml_new_array(cx->scratch, gml_value *, node->n_results + 1);
    gml_expand expansion = {node,          node->graph, module, &module->arena,
                            &module->dims, cx->diags,   results};
    GML_TRY(node->op->expand(&expansion));
    for (uint32_t r = 0; r < node->n_results; r++) {
        if (!results[r])
            continue;
        /* "" marks a result that nobody wants: what it is made of may well be wanted */
        const char *name = node->results[r].name;
        if (!results[r]->name && name && *name)
            results[r]->name = name;
        gml_value_replace(&node->results[r], results[r]);
    }
    gml_node_retire(node);
    return GML_OK;
}

static gml_status expand_graph(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    unsigned budget = GML_MAX_EXPANSIONS;
    for (gml_node *node = graph->first; node;) {
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                GML_TRY(expand_graph(node->attrs[i].as.graph, cx, out_changed));
        if (!node->op->expand || is_constant(node)) {
            node = node->next;
            continue;
        }
        if (budget-- == 0)
            return gml_fail(cx->diags, GML_E_INTERNAL, node->loc, "expansion does not end");
        gml_node *prev = node->prev;
        GML_TRY(gml_expand_node(node, cx));
        *out_changed = true;
        node = prev ? prev->next : graph->first;
    }
    return GML_OK;
}

gml_status gml_pass_expand(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    return expand_graph(graph, cx, out_changed);
}
