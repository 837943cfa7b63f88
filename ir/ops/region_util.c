/* ir/ops/region_util.c - copies of regions. */
#include "ir/ops/region_util.h"

/* Copied values by the id of the original; NULL for values from around the region. */
typedef struct copying {
    const gml_module *from;
    uint32_t n_values; /* of `from`, before copying */
    gml_value **copies;
    gml_arena *arena; /* of the graph copied into */
} copying;

static gml_value *copy_of(const copying *c, gml_value *value)
{
    if (!value || value->graph->module != c->from || value->id >= c->n_values)
        return value;
    return c->copies[value->id] ? c->copies[value->id] : value;
}

static gml_node *copy_node(gml_build *b, const copying *c, const gml_node *node);

/* Types inside are inferred with the node that has the region. */
static gml_graph *copy_graph(gml_build *b, const copying *c, const gml_graph *region,
                             gml_node *owner)
{
    gml_graph *graph = gml_graph_create(b->graph->module, region->name, owner);
    for (uint32_t p = 0; p < region->n_params; p++)
        c->copies[region->params[p]->id] =
            gml_graph_add_param(graph, region->params[p]->name, region->params[p]->type);
    gml_build inner = {graph, NULL, b->loc, b->diags, b->status};
    gml_for_each_node(node, region)
        (void)copy_node(&inner, c, node);
    gml_assumptions_add(c->arena, &graph->assumptions, region->assumptions.items,
                        region->assumptions.count);
    for (uint32_t r = 0; r < region->n_results; r++)
        gml_graph_add_result(graph, copy_of(c, region->results[r]), region->result_names[r]);
    return graph;
}

/* Nodes of a fused region are not inferred again. */
static bool is_inlined(const gml_node *node)
{
    const gml_node *owner = node->graph->owner;
    return owner && (owner->op->traits & GML_INLINES);
}

static gml_node *copy_node(gml_build *b, const copying *c, const gml_node *node)
{
    gml_value **operands = gml_new_array(c->arena, gml_value *, node->n_operands + 1);
    for (uint32_t k = 0; k < node->n_operands; k++)
        operands[k] = copy_of(c, node->operands[k]);
    gml_node *copy = gml_node_create(b->graph, b->before, node->op, operands, node->n_operands,
                                     node->n_results, node->loc);
    for (uint32_t r = 0; r < node->n_results; r++) {
        copy->results[r].name = node->results[r].name;
        if (node->n_operands == 0 || is_inlined(node)) { /* what its maker knew of it */
            copy->results[r].type = node->results[r].type;
            copy->results[r].constant = node->results[r].constant;
            copy->results[r].elements = node->results[r].elements;
        }
        c->copies[node->results[r].id] = &copy->results[r];
    }
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        gml_attr attr = node->attrs[i];
        if (attr.kind == GML_ATTR_GRAPH)
            attr.as.graph = copy_graph(b, c, attr.as.graph, copy);
        gml_node_set_attr(copy, &attr);
    }
    return copy;
}

void gml_build_region(gml_build *b, const gml_graph *region, gml_value *const *args,
                      gml_value **out_results)
{
    copying c = {.from = region->module,
                 .n_values = region->module->n_values,
                 .arena = &b->graph->module->arena};
    c.copies = gml_new_array(c.arena, gml_value *, c.n_values + 1);
    for (uint32_t p = 0; p < region->n_params; p++)
        c.copies[region->params[p]->id] = args[p];
    gml_for_each_node(node, region) {
        gml_node *copy = copy_node(b, &c, node);
        if (b->status == GML_OK)
            b->status = gml_node_infer(copy, b->diags);
    }
    gml_assumptions_add(c.arena, &b->graph->assumptions, region->assumptions.items,
                        region->assumptions.count);
    for (uint32_t r = 0; r < region->n_results; r++)
        out_results[r] = copy_of(&c, region->results[r]);
}

gml_status gml_build_copy(gml_build *b, const gml_node *node, gml_value **copies,
                          uint32_t n_values)
{
    gml_module *module = node->graph->module;
    copying c = {
        .from = module, .n_values = n_values, .copies = copies, .arena = &module->arena};
    gml_node *copy = copy_node(b, &c, node);
    for (uint32_t r = 0; r < copy->n_results; r++)
        if (copy->results[r].name && *copy->results[r].name)
            copy->results[r].name = NULL; /* the name of the original */
    return gml_node_infer(copy, b->diags);
}
