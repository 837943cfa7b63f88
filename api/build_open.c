/* api/build_open.c - a gml_builder that continues a module which was not built. */
#include "api/builder.h"

static void note_name(gml_builder *b, const char *name)
{
    if (name != NULL)
        gml_map_set(&b->names, name, b);
}

/* The names of what `graph` and its regions have. */
static void note_names(gml_builder *b, const gml_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_params; i++)
        note_name(b, graph->params[i]->name);
    for (uint32_t r = 0; r < graph->n_results; r++)
        note_name(b, graph->result_names != NULL ? graph->result_names[r] : NULL);
    for (const gml_node *node = graph->first; node != NULL; node = node->next) {
        for (uint32_t r = 0; r < node->n_results; r++)
            note_name(b, node->results[r].name);
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                note_names(b, node->attrs[i].as.graph);
    }
}

gml_builder *gml_builder_open(gml_module *module, gml_diags *diags)
{
    gml_builder *b = gml_builder_new(module, diags);
    note_names(b, module->main);
    return b;
}

const char *gml_builder_free_name(gml_builder *b, const char *name)
{
    const char *free_name = name;
    for (unsigned i = 1; gml_map_has(&b->names, free_name); i++)
        free_name = gml_arena_printf(&b->module->arena, "%s_%u", name, i);
    return free_name;
}
