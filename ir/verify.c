#include "ir/verify.h"

#include "ir/op.h"

#include <stdarg.h>
#include <string.h>

#define GML_MAX_REGION_DEPTH 64

/* One run over a graph. `visible[id]` is the value of that id while it may be used, `known[id]`
 * from its definition on. */
typedef struct verifier {
    gml_module *module;
    gml_diags *diags;
    gml_arena scratch;
    const gml_value **visible;
    const gml_value **known;
    const gml_node *node; /* being checked; NULL between nodes */
    int depth;
    gml_status status;
} verifier;

static void complain(verifier *v, const char *format, ...) GML_PRINTF(2, 3);

static void complain(verifier *v, const char *format, ...)
{
    gml_loc loc = {.file = v->module->file};
    if (v->node != NULL) {
        loc = v->node->loc;
        if (loc.node == NULL && v->node->n_results > 0)
            loc.node = v->node->results[0].name;
        if (loc.op == NULL && v->node->op != NULL)
            loc.op = v->node->op->name;
    }
    va_list args;
    va_start(args, format);
    const char *text = gml_arena_vprintf(v->diags->arena, format, args);
    va_end(args);
    v->status = gml_fail(v->diags, GML_E_INVALID, loc, "%s", text);
}

/* ---- Types and values ------------------------------------------------------------------- */

static bool dims_are_sizes(const verifier *v, const gml_type *type)
{
    for (int i = 0; i < type->rank; i++) {
        gml_dim dim = type->dims[i];
        bool exists = gml_dim_is_const(dim) ||
                      (dim < 0 && gml_dim_index(dim) < v->module->dims.exprs.count);
        if (!exists)
            return false;
    }
    return true;
}

static void check_requirements(verifier *v, const gml_graph *graph)
{
    for (size_t i = 0; i < graph->assumptions.count; i++) {
        const gml_assumption *assumption = &graph->assumptions.items[i];
        const gml_dim both[] = {assumption->a, assumption->b};
        gml_type type = {.rank = 2, .dims = both};
        if ((unsigned)assumption->relation >= GML_RELATION_COUNT || !dims_are_sizes(v, &type))
            complain(v, "requirement %zu is damaged", i);
    }
}

static void check_type(verifier *v, const gml_type *type, const char *what, uint32_t index)
{
    while (type->kind != GML_TYPE_TENSOR && type->kind != GML_TYPE_UNKNOWN &&
           type->element != NULL)
        type = type->element;
    if (type->kind != GML_TYPE_TENSOR) {
        complain(v, "the type of %s %u is not known", what, index);
        return;
    }
    if (type->rank > 0 && type->rank <= GML_MAX_RANK &&
        (type->dims == NULL || !dims_are_sizes(v, type))) {
        complain(v, "the shape of %s %u is damaged", what, index);
        return;
    }
    gml_loc loc = v->node != NULL ? v->node->loc : (gml_loc){.file = v->module->file};
    if (gml_type_check(type, v->diags, loc) != GML_OK)
        v->status = GML_E_INVALID;
}

static void check_constant(verifier *v, const gml_value *value, const char *what)
{
    const gml_tensor *tensor = value->constant;
    const gml_type *type = &value->type;
    bool fits =
        tensor == NULL || (type->kind == GML_TYPE_TENSOR && type->dtype == tensor->dtype &&
                           (type->rank == tensor->rank || type->rank < 0));
    for (int i = 0; tensor != NULL && fits && i < type->rank; i++)
        fits = !gml_dim_is_const(type->dims[i]) || type->dims[i] == tensor->dims[i];
    if (!fits)
        complain(v, "the elements known of %s %u do not have its type", what, value->index);
}

/* Checks a value where it is defined, and makes it visible. */
static void define(verifier *v, const gml_graph *graph, const gml_value *value,
                   const gml_node *def, uint32_t index)
{
    const char *what = def == NULL ? "parameter" : "result";
    if (value->def != def || value->graph != graph || value->index != index) {
        complain(v, "%s %u does not know its place", what, index);
        return;
    }
    if (value->id >= v->module->n_values || v->known[value->id] != NULL) {
        complain(v, "%s %u has an id that is not its own", what, index);
        return;
    }
    v->visible[value->id] = value;
    v->known[value->id] = value;
    bool is_unwanted = value->name != NULL && value->name[0] == '\0';
    if (is_unwanted && value->type.kind == GML_TYPE_UNKNOWN)
        return;
    size_t n_before = v->diags->list.count;
    check_type(v, &value->type, what, index);
    if (v->diags->list.count == n_before)
        check_constant(v, value, what);
}

static bool is_inside(const gml_graph *graph, const gml_graph *outer)
{
    for (int depth = 0; graph != NULL && depth <= GML_MAX_REGION_DEPTH; depth++) {
        if (graph == outer)
            return true;
        graph = graph->owner != NULL ? graph->owner->graph : NULL;
    }
    return false;
}

/* Says what is wrong with using `value` in `graph`, if anything is. */
static void check_use(verifier *v, const gml_graph *graph, const gml_value *value,
                      const char *what, uint32_t index)
{
    if (value->id < v->module->n_values && v->visible[value->id] == value) {
        if (value->name != NULL && value->name[0] == '\0')
            complain(v, "%s %u is a result that nobody wanted", what, index);
        return;
    }
    const char *name = value->name != NULL ? value->name : "without a name";
    if (!is_inside(graph, value->graph))
        complain(v, "%s %u (%s) belongs to a graph that is not around this one", what, index,
                 name);
    else if (value->id < v->module->n_values && v->known[value->id] == NULL)
        complain(v, "%s %u (%s) is used before it is defined", what, index, name);
    else
        complain(v, "%s %u (%s) is not a value of its graph", what, index, name);
}

/* ---- Nodes ------------------------------------------------------------------------------ */

static void check_count(verifier *v, uint32_t count, int least, int most, const char *what)
{
    if ((int64_t)count >= least && (most < 0 || (int64_t)count <= most))
        return;
    if (most < 0)
        complain(v, "%u %s where at least %d are needed", count, what, least);
    else if (least == most)
        complain(v, "%u %s where %d are needed", count, what, least);
    else
        complain(v, "%u %s where %d to %d are allowed", count, what, least, most);
}

static void check_operands(verifier *v, const gml_node *node)
{
    const gml_op_info *op = node->op;
    check_count(v, node->n_operands, op->min_in, op->max_in, "operands");
    check_count(v, node->n_results, op->min_out, op->max_out, "results");
    for (uint32_t i = 0; i < node->n_operands; i++) {
        const gml_value *operand = node->operands[i];
        if (operand != NULL)
            check_use(v, node->graph, operand, "operand", i);
        else if ((int64_t)i < op->min_in)
            complain(v, "operand %u is missing", i);
        else if (i + 1 == node->n_operands)
            complain(v, "the last operand is absent, and is stored all the same");
    }
}

static bool has_payload(const gml_attr *attr)
{
    switch (attr->kind) {
    case GML_ATTR_NONE: return false;
    case GML_ATTR_INT:
    case GML_ATTR_FLOAT: return true;
    case GML_ATTR_STRING: return attr->as.s.data != NULL || attr->as.s.len == 0;
    case GML_ATTR_TENSOR: return attr->as.t != NULL;
    case GML_ATTR_TYPE: return attr->as.type != NULL;
    case GML_ATTR_GRAPH: return attr->as.graph != NULL;
    case GML_ATTR_INTS: return attr->count == 0 || attr->as.ints != NULL;
    case GML_ATTR_FLOATS: return attr->count == 0 || attr->as.floats != NULL;
    case GML_ATTR_STRINGS: return attr->count == 0 || attr->as.strings != NULL;
    case GML_ATTR_TENSORS: return attr->count == 0 || attr->as.tensors != NULL;
    }
    return false;
}

static const gml_attr_spec *find_spec(const gml_op_info *op, const char *name)
{
    const gml_attr_spec *spec = op->attrs;
    while (spec != NULL && spec->name != NULL && strcmp(spec->name, name) != 0)
        spec++;
    return spec != NULL && spec->name != NULL ? spec : NULL;
}

static void check_attrs(verifier *v, const gml_node *node)
{
    const gml_attr_spec *last = NULL;
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        const gml_attr *attr = &node->attrs[i];
        const gml_attr_spec *spec = find_spec(node->op, attr->name);
        if (spec == NULL)
            complain(v, "there is no attribute '%s'", attr->name);
        else if (attr->kind != spec->kind || !has_payload(attr))
            complain(v, "attribute '%s' has the wrong kind", attr->name);
        else if (last != NULL && spec <= last)
            complain(v, "attribute '%s' is not in the order of the table", attr->name);
        else
            last = spec;
    }
    for (const gml_attr_spec *spec = node->op->attrs; spec != NULL && spec->name != NULL;
         spec++) {
        if (spec->presence == GML_ATTR_REQUIRED && gml_node_find_attr(node, spec->name) == NULL)
            complain(v, "attribute '%s' is missing", spec->name);
    }
}

static void check_graph(verifier *v, const gml_graph *graph, const gml_node *owner);

static void check_regions(verifier *v, const gml_node *node)
{
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        const gml_attr *attr = &node->attrs[i];
        if (attr->kind != GML_ATTR_GRAPH || attr->as.graph == NULL)
            continue;
        if (v->depth == GML_MAX_REGION_DEPTH) {
            complain(v, "regions are nested more than %d deep", GML_MAX_REGION_DEPTH);
            return;
        }
        v->depth++;
        check_graph(v, attr->as.graph, node);
        v->depth--;
        v->node = node;
    }
}

static void check_node(verifier *v, const gml_node *node)
{
    v->node = node;
    if (node->op == NULL) {
        complain(v, "a node without an operator");
    } else {
        check_operands(v, node);
        check_attrs(v, node);
        check_regions(v, node);
    }
    for (uint32_t i = 0; i < node->n_results; i++)
        define(v, node->graph, &node->results[i], node, i);
    v->node = NULL;
}

/* ---- Graphs ----------------------------------------------------------------------------- */

/* Ends the life of a region's values. */
static void forget(verifier *v, const gml_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_params; i++) {
        if (graph->params[i]->id < v->module->n_values)
            v->visible[graph->params[i]->id] = NULL;
    }
    gml_for_each_node(node, graph) {
        for (uint32_t i = 0; i < node->n_results; i++) {
            if (node->results[i].id < v->module->n_values)
                v->visible[node->results[i].id] = NULL;
        }
    }
}

/* A list that links back to an earlier node would never end: it is told by its `prev`. */
static bool links_are_good(verifier *v, const gml_graph *graph)
{
    const gml_node *before = NULL;
    for (const gml_node *node = graph->first; node != NULL; node = node->next) {
        if (node->prev != before || node->graph != graph) {
            v->node = node;
            complain(v, "the node is not linked properly into its graph");
            return false;
        }
        before = node;
    }
    if (graph->last != before)
        complain(v, "the last node of the graph is not its last");
    return graph->last == before;
}

static void check_graph(verifier *v, const gml_graph *graph, const gml_node *owner)
{
    if (graph->owner != owner || graph->module != v->module) {
        complain(v, "a region does not know its owner");
        return;
    }
    if (!links_are_good(v, graph))
        return;
    check_requirements(v, graph);
    for (uint32_t i = 0; i < graph->n_params; i++)
        define(v, graph, graph->params[i], NULL, i);
    gml_for_each_node(node, graph)
        check_node(v, node);
    v->node = owner;
    for (uint32_t i = 0; i < graph->n_results; i++) {
        if (graph->results[i] == NULL)
            complain(v, "the graph's result %u is missing", i);
        else
            check_use(v, graph, graph->results[i], "the graph's result", i);
    }
    if (owner != NULL)
        forget(v, graph);
}

gml_status gml_graph_verify(const gml_graph *graph, gml_diags *diags)
{
    verifier v = {.module = graph->module, .diags = diags, .status = GML_OK};
    gml_arena_init(&v.scratch);
    v.visible = gml_new_array(&v.scratch, const gml_value *, graph->module->n_values);
    v.known = gml_new_array(&v.scratch, const gml_value *, graph->module->n_values);
    check_graph(&v, graph, NULL);
    gml_arena_reset(&v.scratch);
    return v.status;
}

gml_status gml_module_verify(const gml_module *module, gml_diags *diags)
{
    if (module->main == NULL)
        return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = module->file},
                        "there is no main graph");
    return gml_graph_verify(module->main, diags);
}
