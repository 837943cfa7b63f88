/* frontend/import_graph.c - names, graphs, and calls of the model's functions.
 *
 * A call is inlined: its function's nodes are imported into the graph of the caller, in a scope
 * of their own in which the function's inputs name the call's operands. Functions must not call
 * themselves, however indirectly; since two calls in each of twenty functions already make a
 * million nodes, the module's nodes are counted too.
 */
#include "frontend/importer.h"

#include <string.h>

void gml_scope_init(gml_scope *scope, gml_importer *importer, gml_graph *graph,
                    gml_scope *parent)
{
    *scope = (gml_scope){.importer = importer, .graph = graph, .parent = parent};
    gml_map_init(&scope->names, &importer->scratch);
    gml_map_init(&scope->hints, &importer->scratch);
    if (parent != NULL) {
        scope->opsets = parent->opsets;
        scope->call = parent->call;
    }
}

gml_value *gml_scope_find(const gml_scope *scope, const char *name)
{
    gml_value *value = NULL;
    for (; scope != NULL && value == NULL; scope = scope->parent)
        value = gml_map_find(&scope->names, name);
    return value;
}

void gml_scope_define(gml_scope *scope, const char *name, gml_value *value, gml_loc loc)
{
    gml_importer *importer = scope->importer;
    if (gml_map_set(&scope->names, name, value) != NULL)
        (void)gml_import_fail(importer, GML_E_INVALID, loc, "\"%s\" is defined twice", name);
    if (value->name != NULL || value == &importer->absent)
        return;
    value->name = scope->call != NULL && scope->parent == NULL
                      ? gml_import_path(importer, scope->call->path, name)
                      : gml_import_text(importer, name);
}

gml_value *gml_scope_placeholder(gml_scope *scope)
{
    /* Belongs to no node; a module with one in it is thrown away. */
    return gml_graph_add_param(scope->graph, "", (gml_type){.kind = GML_TYPE_UNKNOWN});
}

/* ---- graphs ---------------------------------------------------------------------------------
 */

static gml_loc named_loc(const gml_scope *scope, const char *name, const char *op)
{
    gml_importer *importer = scope->importer;
    return (gml_loc){.file = importer->module->file,
                     .node = gml_import_text(importer, gml_text_or_empty(name)),
                     .op = op};
}

static bool has_budget(gml_importer *importer, gml_loc loc)
{
    if (gml_import_is_hopeless(importer))
        return false;
    bool is_large = importer->arena->used + importer->scratch.used > importer->max_memory;
    importer->n_nodes = is_large ? GML_MAX_NODES + 1 : importer->n_nodes + 1;
    if (is_large)
        (void)gml_import_fail(importer, GML_E_INVALID, loc,
                              "the model grows out of all proportion");
    else if (importer->n_nodes > GML_MAX_NODES)
        (void)gml_import_fail(importer, GML_E_INVALID, loc, "the model has more than %u nodes",
                              GML_MAX_NODES);
    return importer->n_nodes <= GML_MAX_NODES;
}

static void define_constant(gml_scope *scope, const char *name, gml_status status,
                            const gml_tensor *tensor, gml_loc loc)
{
    if (name == NULL || *name == '\0') {
        (void)gml_import_fail(scope->importer, GML_E_INVALID, loc,
                              "an initialiser has no name");
        return;
    }
    gml_value *value = status == GML_OK ? gml_graph_constant(scope->graph, NULL, tensor, loc)
                                        : gml_scope_placeholder(scope);
    value->name = NULL;
    gml_scope_define(scope, name, value, loc);
}

static void import_initialisers(gml_scope *scope, const Onnx__GraphProto *proto)
{
    const gml_tensor_reader *reader = &scope->importer->reader;
    gml_tensor tensor = {.dtype = GML_NONE};
    for (size_t i = 0; i < proto->n_initializer; i++) {
        const Onnx__TensorProto *item = proto->initializer[i];
        gml_loc loc = named_loc(scope, item->name, "Constant");
        if (!has_budget(scope->importer, loc))
            return;
        gml_status status = gml_tensor_read(reader, item, loc, &tensor);
        define_constant(scope, item->name, status, &tensor, loc);
    }
    for (size_t i = 0; i < proto->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *item = proto->sparse_initializer[i];
        const char *name = item->values != NULL ? item->values->name : NULL;
        gml_loc loc = named_loc(scope, name, "Constant");
        if (!has_budget(scope->importer, loc))
            return;
        gml_status status = gml_tensor_read_sparse(reader, item, loc, &tensor);
        define_constant(scope, name, status, &tensor, loc);
    }
}

static void import_inputs(gml_scope *scope, const Onnx__GraphProto *proto)
{
    gml_importer *importer = scope->importer;
    for (size_t i = 0; i < proto->n_input; i++) {
        const Onnx__ValueInfoProto *item = proto->input[i];
        gml_loc loc = named_loc(scope, item->name, "input");
        if (item->name == NULL || *item->name == '\0') {
            (void)gml_import_fail(importer, GML_E_INVALID, loc, "input %zu has no name", i);
            continue;
        }
        const gml_value *existing = gml_map_find(&scope->names, item->name);
        if (existing != NULL && existing->def != NULL)
            continue; /* an initialiser */
        gml_type type;
        if (gml_import_type(importer, item->type, loc, &type) != GML_OK)
            continue;
        if (type.kind == GML_TYPE_UNKNOWN && scope->parent == NULL)
            (void)gml_import_fail(importer, GML_E_INVALID, loc, "an input has no type");
        gml_value *value = gml_graph_add_param(scope->graph, item->name, type);
        gml_scope_define(scope, item->name, value, loc);
    }
}

gml_value *gml_import_output(gml_scope *scope, const Onnx__GraphProto *proto, size_t i)
{
    gml_importer *importer = scope->importer;
    const Onnx__ValueInfoProto *item = proto->output[i];
    gml_loc loc = named_loc(scope, item->name, "output");
    gml_value *value = gml_scope_find(scope, gml_text_or_empty(item->name));
    if (value == NULL || value == &importer->absent) {
        (void)gml_import_fail(importer, GML_E_INVALID, loc,
                              "output %zu is not the result of any node", i);
        return NULL;
    }
    gml_type declared;
    if (gml_import_type(importer, item->type, loc, &declared) != GML_OK)
        return NULL;
    bool contradicts = declared.kind == GML_TYPE_TENSOR &&
                       value->type.kind == GML_TYPE_TENSOR &&
                       declared.dtype != value->type.dtype;
    if (contradicts)
        (void)gml_import_fail(
            importer, GML_E_TYPE, loc, "an output is declared as %s and computed as %s",
            gml_dtype_name(declared.dtype), gml_dtype_name(value->type.dtype));
    return value;
}

static void import_hints(gml_scope *scope, Onnx__ValueInfoProto *const *items, size_t n_items)
{
    for (size_t i = 0; i < n_items; i++) {
        if (items[i]->name != NULL && items[i]->type != NULL)
            gml_map_set(&scope->hints, items[i]->name, items[i]->type);
    }
}

void gml_import_declarations(gml_scope *scope, const Onnx__GraphProto *proto)
{
    import_hints(scope, proto->value_info, proto->n_value_info);
    import_hints(scope, proto->output, proto->n_output);
    import_initialisers(scope, proto);
    import_inputs(scope, proto);
}

void gml_import_nodes(gml_scope *scope, const Onnx__GraphProto *proto)
{
    scope->nodes = (const Onnx__NodeProto *const *)proto->node;
    scope->n_nodes = proto->n_node;
    for (size_t i = 0; i < proto->n_node; i++) {
        if (!has_budget(scope->importer, gml_node_loc(scope, proto->node[i])))
            break;
        gml_import_node(scope, proto->node[i]);
    }
}

static void count_initialisers(gml_module *module)
{
    module->n_initialisers = 0;
    for (const gml_node *node = module->main->first; node != NULL; node = node->next)
        module->n_initialisers++;
}

void gml_import_graph(gml_scope *scope, const Onnx__GraphProto *proto)
{
    gml_importer *importer = scope->importer;
    if (importer->nesting == GML_MAX_NESTING) {
        (void)gml_import_fail(importer, GML_E_INVALID,
                              (gml_loc){.file = importer->module->file},
                              "graphs and calls are nested more than %d deep", GML_MAX_NESTING);
        return;
    }
    importer->nesting++;
    gml_import_declarations(scope, proto);
    if (scope->graph == importer->module->main)
        count_initialisers(importer->module);
    gml_import_nodes(scope, proto);
    for (size_t i = 0; i < proto->n_output && !gml_import_is_hopeless(importer); i++) {
        gml_value *value = gml_import_output(scope, proto, i);
        if (value != NULL)
            gml_graph_add_result(scope->graph, value, proto->output[i]->name);
    }
    importer->nesting--;
}

/* ---- calls ----------------------------------------------------------------------------------
 */

/* "f -> g -> f": the calls from the one of `function` to the innermost. */
static const char *describe_cycle(gml_scope *scope, const Onnx__FunctionProto *function)
{
    const char *chain = gml_text_or_empty(function->name);
    const gml_call *call = scope->call;
    for (bool is_last = false; !is_last; call = call->caller) {
        chain = gml_arena_printf(&scope->importer->scratch, "%s -> %s",
                                 gml_text_or_empty(call->function->name), chain);
        is_last = call->function == function;
    }
    return chain;
}

static bool check_recursion(gml_scope *scope, const Onnx__FunctionProto *function, gml_loc loc)
{
    gml_importer *importer = scope->importer;
    const gml_call *call = scope->call;
    while (call != NULL && call->function != function)
        call = call->caller;
    if (call != NULL) {
        (void)gml_import_fail(importer, GML_E_INVALID, loc, "a function calls itself: %s",
                              describe_cycle(scope, function));
        return false;
    }
    bool is_deep = (scope->call != NULL && scope->call->depth == GML_MAX_CALLS) ||
                   importer->nesting == GML_MAX_NESTING;
    if (is_deep)
        (void)gml_import_fail(importer, GML_E_INVALID, loc,
                              "functions call each other more than %d deep", GML_MAX_CALLS);
    return !is_deep;
}

static void bind(gml_call *call, const char *name, gml_binding binding, gml_arena *scratch)
{
    gml_map_set(&call->bindings, name, gml_arena_copy(scratch, &binding, sizeof binding));
}

/* The call's attributes, over the function's defaults. */
static void bind_attributes(gml_scope *caller, gml_scope *scope, gml_call *call,
                            const Onnx__NodeProto *proto)
{
    gml_arena *scratch = &caller->importer->scratch;
    const Onnx__FunctionProto *function = call->function;
    for (size_t i = 0; i < function->n_attribute_proto; i++) {
        const Onnx__AttributeProto *attr = function->attribute_proto[i];
        bind(call, gml_text_or_empty(attr->name), (gml_binding){attr, scope}, scratch);
    }
    for (size_t i = 0; i < proto->n_attribute; i++) {
        gml_binding binding = gml_resolve_attr(caller, proto->attribute[i]);
        if (binding.attr != NULL)
            bind(call, gml_text_or_empty(proto->attribute[i]->name), binding, scratch);
    }
}

static bool bind_operands(gml_scope *caller, gml_scope *scope, const gml_call *call,
                          const Onnx__NodeProto *proto, gml_loc loc)
{
    gml_importer *importer = caller->importer;
    const Onnx__FunctionProto *function = call->function;
    if (proto->n_input > function->n_input || proto->n_output > function->n_output) {
        (void)gml_import_fail(importer, GML_E_INVALID, loc,
                              "%zu operands and %zu results, but function %s has %zu and %zu",
                              proto->n_input, proto->n_output,
                              gml_text_or_empty(function->name), function->n_input,
                              function->n_output);
        return false;
    }
    for (size_t i = 0; i < function->n_input; i++) {
        gml_value *value = &importer->absent;
        if (i < proto->n_input && *proto->input[i] != '\0')
            value = gml_import_operand(caller, proto, i, loc);
        gml_scope_define(scope, function->input[i], value, loc);
    }
    return true;
}

/* Results are known by the caller's names. `first_id`: values with smaller ids existed before.
 */
static void bind_results(gml_scope *caller, const gml_scope *scope, const gml_call *call,
                         const Onnx__NodeProto *proto, uint32_t first_id)
{
    gml_importer *importer = caller->importer;
    gml_loc loc = gml_node_loc(caller, proto);
    for (size_t i = 0; i < proto->n_output; i++) {
        if (*proto->output[i] == '\0')
            continue;
        gml_value *value = gml_scope_find(scope, call->function->output[i]);
        if (value == NULL || value == &importer->absent) {
            (void)gml_import_fail(
                importer, GML_E_INVALID, loc, "function %s does not define its output \"%s\"",
                gml_text_or_empty(call->function->name), call->function->output[i]);
            value = gml_scope_placeholder(caller);
        }
        if (value->id >= first_id)
            value->name = NULL;
        gml_scope_define(caller, proto->output[i], value, loc);
    }
}

void gml_import_call(gml_scope *caller, const Onnx__NodeProto *proto,
                     const Onnx__FunctionProto *function, gml_loc loc)
{
    gml_importer *importer = caller->importer;
    gml_call call = {.function = function, .path = loc.node, .caller = caller->call};
    call.depth = caller->call != NULL ? caller->call->depth + 1 : 1;
    gml_map_init(&call.bindings, &importer->scratch);
    gml_scope scope;
    gml_scope_init(&scope, importer, caller->graph, NULL);
    scope.opsets.items = (const Onnx__OperatorSetIdProto *const *)function->opset_import;
    scope.opsets.count = function->n_opset_import;
    scope.call = &call;
    scope.inferred = caller->inferred;
    scope.nodes = (const Onnx__NodeProto *const *)function->node;
    scope.n_nodes = function->n_node;
    uint32_t first_id = importer->module->n_values;
    bind_attributes(caller, &scope, &call, proto);
    bool is_sound = check_recursion(caller, function, loc) &&
                    bind_operands(caller, &scope, &call, proto, loc);
    importer->nesting++;
    for (size_t i = 0; i < function->n_node && is_sound; i++) {
        if (!has_budget(importer, loc))
            break;
        gml_import_node(&scope, function->node[i]);
    }
    importer->nesting--;
    caller->inferred = scope.inferred;
    if (!is_sound)
        gml_import_placeholders(caller, proto, loc);
    else if (!gml_import_is_hopeless(importer))
        bind_results(caller, &scope, &call, proto, first_id);
}
