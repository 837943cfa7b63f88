#include "ir/graph.h"

#include "ir/op.h"

#include <stdlib.h>
#include <string.h>

/* ---- Modules and graphs ----------------------------------------------------------------- */

gml_module *gml_module_create(const char *file)
{
    gml_module *module = calloc(1, sizeof(*module));
    if (module == NULL)
        gml_out_of_memory(sizeof(*module));
    gml_arena_init(&module->arena);
    gml_dim_pool_init(&module->dims, &module->arena);
    if (file != NULL)
        module->file = gml_arena_text(&module->arena, file, strlen(file));
    return module;
}

void gml_module_destroy(gml_module *module)
{
    if (module == NULL)
        return;
    for (size_t i = module->resources.count; i > 0; i--) {
        gml_resource resource = module->resources.items[i - 1];
        resource.release(resource.context);
    }
    gml_arena_reset(&module->arena);
    free(module);
}

void gml_module_own(gml_module *module, void (*release)(void *context), void *context)
{
    gml_resource resource = {release, context};
    gml_push(&module->arena, &module->resources, resource);
}

static void release_file(void *context)
{
    gml_file_unmap(context);
}

gml_file *gml_module_own_file(gml_module *module, const gml_file *file)
{
    gml_file *owned = gml_arena_copy(&module->arena, file, sizeof *file);
    gml_module_own(module, release_file, owned);
    gml_push(&module->arena, &module->files, owned);
    return owned;
}

void gml_module_forget(const gml_module *module, const void *data, size_t size)
{
    for (size_t i = 0; i < module->files.count; i++)
        gml_file_forget(module->files.items[i], data, size);
}

static const char *copy_name(gml_module *module, const char *name)
{
    return name == NULL ? NULL : gml_arena_text(&module->arena, name, strlen(name));
}

gml_graph *gml_graph_create(gml_module *module, const char *name, gml_node *owner)
{
    gml_graph *graph = gml_new(&module->arena, gml_graph);
    graph->module = module;
    graph->owner = owner;
    graph->name = copy_name(module, name);
    return graph;
}

/* Makes room for one more pointer in `*items`. The capacity is a function of the count, so that
 * graphs and nodes need no field for it: room is made when the count is 0 or a power of two. */
static void grow_pointers(gml_arena *arena, void *items, uint32_t count)
{
    if ((count & (count - 1)) != 0)
        return;
    size_t capacity = count == 0 ? 1 : 2 * (size_t)count;
    void **grown = gml_new_array(arena, void *, capacity);
    void *old;
    memcpy(&old, items, sizeof(old));
    if (count != 0)
        memcpy(grown, old, count * sizeof(void *));
    memcpy(items, &grown, sizeof(grown));
}

gml_value *gml_graph_add_param(gml_graph *graph, const char *name, gml_type type)
{
    gml_module *module = graph->module;
    gml_value *param = gml_new(&module->arena, gml_value);
    param->type = type;
    param->graph = graph;
    param->name = copy_name(module, name);
    param->index = graph->n_params;
    param->id = module->n_values++;
    grow_pointers(&module->arena, &graph->params, graph->n_params);
    graph->params[graph->n_params++] = param;
    return param;
}

void gml_graph_add_result(gml_graph *graph, gml_value *value, const char *name)
{
    gml_arena *arena = &graph->module->arena;
    grow_pointers(arena, &graph->results, graph->n_results);
    grow_pointers(arena, &graph->result_names, graph->n_results);
    graph->results[graph->n_results] = value;
    graph->result_names[graph->n_results++] = copy_name(graph->module, name);
}

/* ---- Nodes ------------------------------------------------------------------------------ */

static void link_node(gml_node *node, gml_node *before)
{
    gml_graph *graph = node->graph;
    node->next = before;
    node->prev = before != NULL ? before->prev : graph->last;
    if (node->prev != NULL)
        node->prev->next = node;
    else
        graph->first = node;
    if (before != NULL)
        before->prev = node;
    else
        graph->last = node;
}

static void unlink_node(gml_node *node)
{
    gml_graph *graph = node->graph;
    if (node->prev != NULL)
        node->prev->next = node->next;
    else
        graph->first = node->next;
    if (node->next != NULL)
        node->next->prev = node->prev;
    else
        graph->last = node->prev;
    node->prev = NULL;
    node->next = NULL;
}

gml_node *gml_node_create(gml_graph *graph, gml_node *before, const gml_op_info *op,
                          gml_value *const *operands, uint32_t n_operands, uint32_t n_results,
                          gml_loc loc)
{
    gml_module *module = graph->module;
    gml_node *node = gml_new(&module->arena, gml_node);
    node->op = op;
    node->loc = loc;
    node->graph = graph;
    gml_node_set_operands(node, operands, n_operands);
    node->results = gml_new_array(&module->arena, gml_value, n_results);
    node->n_results = n_results;
    for (uint32_t i = 0; i < n_results; i++) {
        node->results[i].def = node;
        node->results[i].graph = graph;
        node->results[i].index = i;
        node->results[i].id = module->n_values++;
    }
    link_node(node, before);
    return node;
}

void gml_node_remove(gml_node *node)
{
    unlink_node(node);
}

static bool has_assumption(const gml_assumptions *list, const gml_assumption *wanted)
{
    for (size_t i = 0; i < list->count; i++) {
        const gml_assumption *known = &list->items[i];
        if (known->relation == wanted->relation && known->a == wanted->a &&
            known->b == wanted->b)
            return true;
    }
    return false;
}

void gml_assumptions_add(gml_arena *arena, gml_assumptions *list, const gml_assumption *more,
                         size_t n_more)
{
    for (size_t i = 0; i < n_more; i++)
        if (!has_assumption(list, &more[i]))
            gml_push(arena, list, more[i]);
}

static void keep_assumptions(gml_graph *graph, const gml_assumptions *from)
{
    gml_assumptions_add(&graph->module->arena, &graph->assumptions, from->items, from->count);
}

void gml_node_retire(gml_node *node)
{
    keep_assumptions(node->graph, &node->assumptions);
    gml_node_remove(node);
}

void gml_node_move(gml_node *node, gml_node *before)
{
    if (node == before)
        return;
    unlink_node(node);
    link_node(node, before);
}

void gml_node_transfer(gml_node *node, gml_graph *graph)
{
    unlink_node(node);
    node->graph = graph;
    for (uint32_t r = 0; r < node->n_results; r++)
        node->results[r].graph = graph;
    link_node(node, NULL);
}

void gml_graph_splice(gml_graph *region, gml_node *before)
{
    keep_assumptions(before->graph, &region->assumptions);
    while (region->first) {
        gml_node *node = region->first;
        gml_node_transfer(node, before->graph);
        gml_node_move(node, before);
    }
}

void gml_node_set_operands(gml_node *node, gml_value *const *operands, uint32_t n_operands)
{
    while (n_operands > 0 && operands[n_operands - 1] == NULL)
        n_operands--; /* trailing absents are not stored */
    node->operands =
        gml_arena_copy(&node->graph->module->arena, operands, n_operands * sizeof(gml_value *));
    node->n_operands = n_operands;
}

gml_value *gml_graph_constant(gml_graph *graph, gml_node *before, const gml_tensor *tensor,
                              gml_loc loc)
{
    gml_module *module = graph->module;
    gml_arena *arena = &module->arena;
    const gml_op_info *op = gml_op_find(NULL, "Constant");
    gml_node *node = gml_node_create(graph, before, op, NULL, 0, 1, loc);
    const gml_tensor *copy = gml_arena_copy(arena, tensor, sizeof(*tensor));
    gml_attr attr = {.name = "value", .kind = GML_ATTR_TENSOR, .count = 1, .as.t = copy};
    gml_node_set_attr(node, &attr);
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i < tensor->rank; i++)
        dims[i] = gml_dim_is_const(tensor->dims[i]) ? tensor->dims[i]
                                                    : gml_dim_fresh(&module->dims, "d");
    node->results[0].type = gml_type_tensor(arena, tensor->dtype, tensor->rank, dims);
    node->results[0].constant = copy;
    return &node->results[0];
}

/* ---- Uses ------------------------------------------------------------------------------- */

static void replace_in_graph(gml_graph *graph, const gml_value *old, gml_value *replacement)
{
    gml_for_each_node(node, graph) {
        for (uint32_t i = 0; i < node->n_operands; i++) {
            if (node->operands[i] == old)
                node->operands[i] = replacement;
        }
        for (uint32_t i = 0; i < node->n_attrs; i++) {
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                replace_in_graph(node->attrs[i].as.graph, old, replacement);
        }
    }
    for (uint32_t i = 0; i < graph->n_results; i++) {
        if (graph->results[i] == old)
            graph->results[i] = replacement;
    }
}

void gml_value_replace(gml_value *old, gml_value *replacement)
{
    replace_in_graph(old->graph, old, replacement);
}

static void count_in_graph(const gml_graph *graph, uint32_t *uses)
{
    gml_for_each_node(node, graph) {
        for (uint32_t i = 0; i < node->n_operands; i++) {
            if (node->operands[i] != NULL)
                uses[node->operands[i]->id]++;
        }
        for (uint32_t i = 0; i < node->n_attrs; i++) {
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                count_in_graph(node->attrs[i].as.graph, uses);
        }
    }
    for (uint32_t i = 0; i < graph->n_results; i++)
        uses[graph->results[i]->id]++;
}

uint32_t *gml_graph_count_uses(const gml_graph *graph, gml_arena *arena)
{
    uint32_t *uses = gml_new_array(arena, uint32_t, graph->module->n_values);
    count_in_graph(graph, uses);
    return uses;
}

/* ---- Attributes ------------------------------------------------------------------------- */

const gml_attr *gml_node_find_attr(const gml_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (strcmp(node->attrs[i].name, name) == 0)
            return &node->attrs[i];
    }
    return NULL;
}

/* The row of `name` in the operator's table; an operator outside the table's reach has none. */
static const gml_attr_spec *find_spec(const gml_node *node, const char *name)
{
    const gml_attr_spec *spec = node->op->attrs;
    while (spec != NULL && spec->name != NULL && strcmp(spec->name, name) != 0)
        spec++;
    return spec != NULL && spec->name != NULL ? spec : NULL;
}

static const gml_attr_spec *find_default(const gml_node *node, const char *name,
                                         gml_attr_kind kind)
{
    const gml_attr_spec *spec = find_spec(node, name);
    bool has_default = spec != NULL && spec->kind == kind && spec->presence == GML_ATTR_DEFAULT;
    return has_default ? spec : NULL;
}

/* The attribute `name`, when it is given and of that kind. */
static const gml_attr *find_of_kind(const gml_node *node, const char *name, gml_attr_kind kind)
{
    const gml_attr *attr = gml_node_find_attr(node, name);
    return attr != NULL && attr->kind == kind ? attr : NULL;
}

int64_t gml_node_int(const gml_node *node, const char *name, int64_t fallback)
{
    const gml_attr *attr = find_of_kind(node, name, GML_ATTR_INT);
    if (attr != NULL)
        return attr->as.i;
    const gml_attr_spec *spec = find_default(node, name, GML_ATTR_INT);
    return spec != NULL ? spec->i : fallback;
}

float gml_node_float(const gml_node *node, const char *name, float fallback)
{
    const gml_attr *attr = find_of_kind(node, name, GML_ATTR_FLOAT);
    if (attr != NULL)
        return attr->as.f;
    const gml_attr_spec *spec = find_default(node, name, GML_ATTR_FLOAT);
    return spec != NULL ? spec->f : fallback;
}

gml_string gml_node_string(const gml_node *node, const char *name)
{
    const gml_attr *attr = find_of_kind(node, name, GML_ATTR_STRING);
    if (attr != NULL)
        return attr->as.s;
    const gml_attr_spec *spec = find_default(node, name, GML_ATTR_STRING);
    const char *text = spec != NULL && spec->s != NULL ? spec->s : "";
    return (gml_string){text, strlen(text)};
}

bool gml_node_string_is(const gml_node *node, const char *name, const char *text)
{
    if (find_of_kind(node, name, GML_ATTR_STRING) == NULL &&
        find_default(node, name, GML_ATTR_STRING) == NULL)
        return false;
    gml_string value = gml_node_string(node, name);
    return value.len == strlen(text) && memcmp(value.data, text, value.len) == 0;
}

const int64_t *gml_node_ints(const gml_node *node, const char *name, size_t *out_count)
{
    const gml_attr *attr = find_of_kind(node, name, GML_ATTR_INTS);
    *out_count = attr != NULL ? attr->count : 0;
    return attr != NULL ? attr->as.ints : NULL;
}

const float *gml_node_floats(const gml_node *node, const char *name, size_t *out_count)
{
    const gml_attr *attr = find_of_kind(node, name, GML_ATTR_FLOATS);
    *out_count = attr != NULL ? attr->count : 0;
    return attr != NULL ? attr->as.floats : NULL;
}

gml_graph *gml_node_region(const gml_node *node, const char *name)
{
    const gml_attr *attr = find_of_kind(node, name, GML_ATTR_GRAPH);
    return attr != NULL ? attr->as.graph : NULL;
}

/* Where `name` stands in the operator's table; after all of its rows when it does not. */
static size_t table_position(const gml_node *node, const char *name)
{
    size_t at = 0;
    const gml_attr_spec *spec = node->op->attrs;
    for (; spec != NULL && spec->name != NULL && strcmp(spec->name, name) != 0; spec++)
        at++;
    return at;
}

void gml_node_set_attr(gml_node *node, const gml_attr *attr)
{
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (strcmp(node->attrs[i].name, attr->name) == 0) {
            node->attrs[i] = *attr;
            return;
        }
    }
    size_t position = table_position(node, attr->name);
    uint32_t at = node->n_attrs;
    while (at > 0 && table_position(node, node->attrs[at - 1].name) > position)
        at--;
    gml_attr *attrs = gml_new_array(&node->graph->module->arena, gml_attr, node->n_attrs + 1);
    if (at > 0)
        memcpy(attrs, node->attrs, at * sizeof(gml_attr));
    attrs[at] = *attr;
    if (at < node->n_attrs)
        memcpy(attrs + at + 1, node->attrs + at, (node->n_attrs - at) * sizeof(gml_attr));
    node->attrs = attrs;
    node->n_attrs++;
}

void gml_node_set_int(gml_node *node, const char *name, int64_t value)
{
    gml_node_set_attr(node, &(gml_attr){.name = name, .kind = GML_ATTR_INT, .as.i = value});
}

void gml_node_set_float(gml_node *node, const char *name, float value)
{
    gml_node_set_attr(node, &(gml_attr){.name = name, .kind = GML_ATTR_FLOAT, .as.f = value});
}

void gml_node_set_string(gml_node *node, const char *name, const char *value)
{
    size_t len = strlen(value);
    gml_string copy = {gml_arena_text(&node->graph->module->arena, value, len), len};
    gml_node_set_attr(node, &(gml_attr){.name = name, .kind = GML_ATTR_STRING, .as.s = copy});
}

void gml_node_set_ints(gml_node *node, const char *name, const int64_t *values, size_t count)
{
    const int64_t *copy =
        gml_arena_copy(&node->graph->module->arena, values, count * sizeof(int64_t));
    gml_node_set_attr(
        node,
        &(gml_attr){.name = name, .kind = GML_ATTR_INTS, .count = count, .as.ints = copy});
}

void gml_node_set_region(gml_node *node, const char *name, gml_graph *region)
{
    region->owner = node;
    gml_node_set_attr(node,
                      &(gml_attr){.name = name, .kind = GML_ATTR_GRAPH, .as.graph = region});
}
