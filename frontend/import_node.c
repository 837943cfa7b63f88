/* frontend/import_node.c - one node of the file: a call, a constant, or an operator. */
#include "frontend/importer.h"
#include "ir/op.h"

#include <string.h>

gml_loc gml_node_loc(const gml_scope *scope, const Onnx__NodeProto *proto)
{
    gml_importer *importer = scope->importer;
    const char *name = gml_text_or_empty(proto->name);
    for (size_t i = 0; i < proto->n_output && *name == '\0'; i++)
        name = proto->output[i];
    gml_loc loc = {.file = importer->module->file,
                   .op = gml_import_text(importer, proto->op_type)};
    loc.node = scope->call != NULL ? gml_import_path(importer, scope->call->path, name)
                                   : gml_import_text(importer, name);
    return loc;
}

void gml_import_placeholders(gml_scope *scope, const Onnx__NodeProto *proto, gml_loc loc)
{
    for (size_t i = 0; i < proto->n_output; i++) {
        if (*proto->output[i] != '\0')
            gml_scope_define(scope, proto->output[i], gml_scope_placeholder(scope), loc);
    }
}

/* ---- operands -------------------------------------------------------------------------------
 */

static bool is_result(const char *name, const Onnx__NodeProto *const *nodes, size_t n_nodes)
{
    for (size_t i = 0; i < n_nodes; i++) {
        for (size_t k = 0; k < nodes[i]->n_output; k++) {
            if (strcmp(nodes[i]->output[k], name) == 0)
                return true;
        }
    }
    return false;
}

gml_value *gml_import_operand(gml_scope *scope, const Onnx__NodeProto *proto, size_t k,
                              gml_loc loc)
{
    const char *name = proto->input[k];
    gml_value *value = gml_scope_find(scope, name);
    if (value != NULL)
        return value;
    const gml_scope *holder = scope;
    while (holder != NULL && !is_result(name, holder->nodes, holder->n_nodes))
        holder = holder->parent;
    if (holder != NULL)
        (void)gml_import_fail(
            scope->importer, GML_E_INVALID, loc,
            "operand %zu, \"%s\", is the result of this or a later node: nodes "
            "are out of order or form a cycle",
            k, name);
    else
        (void)gml_import_fail(scope->importer, GML_E_INVALID, loc,
                              "operand %zu, \"%s\", is not defined", k, name);
    value = gml_scope_placeholder(scope);
    gml_map_set(&scope->names, name, value); /* so that it is reported once */
    return value;
}

static void import_operands(gml_scope *scope, const Onnx__NodeProto *proto, gml_draft *draft)
{
    for (size_t i = 0; i < proto->n_input; i++) {
        gml_value *value = NULL;
        if (*proto->input[i] != '\0')
            value = gml_import_operand(scope, proto, i, draft->loc);
        if (value == &scope->importer->absent)
            value = NULL;
        gml_push(scope->importer->arena, &draft->operands, value);
    }
}

/* ---- attributes -----------------------------------------------------------------------------
 */

/* Attributes of a node before its operator is known: graphs are imported last, into the node.
 */
typedef struct graph_attr {
    const char *name;
    gml_binding binding;
} graph_attr;

typedef struct graph_attrs {
    gml_vec(graph_attr) list;
} graph_attrs;

static bool has_name(const gml_draft *draft, const graph_attrs *graphs, const char *name)
{
    for (size_t i = 0; i < draft->attrs.count; i++) {
        if (strcmp(draft->attrs.items[i].name, name) == 0)
            return true;
    }
    for (size_t i = 0; i < graphs->list.count; i++) {
        if (strcmp(graphs->list.items[i].name, name) == 0)
            return true;
    }
    return false;
}

static gml_status import_attributes(gml_scope *scope, const Onnx__NodeProto *proto,
                                    gml_draft *draft, graph_attrs *graphs)
{
    gml_importer *importer = scope->importer;
    for (size_t i = 0; i < proto->n_attribute; i++) {
        const char *name = gml_text_or_empty(proto->attribute[i]->name);
        gml_binding binding = gml_resolve_attr(scope, proto->attribute[i]);
        if (binding.attr == NULL)
            continue; /* an attribute of the function that this call does not give */
        if (has_name(draft, graphs, name))
            return gml_import_fail(importer, GML_E_INVALID, draft->loc,
                                   "attribute %s is given twice", name);
        if (gml_attr_proto_type(binding.attr) == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH) {
            graph_attr graph = {gml_import_text(importer, name), binding};
            gml_push(&importer->scratch, &graphs->list, graph);
            continue;
        }
        gml_attr attr;
        GML_TRY(gml_import_attr(importer, name, binding.attr, draft->loc, &attr));
        gml_push(importer->arena, &draft->attrs, attr);
    }
    return GML_OK;
}

static const gml_attr_spec *find_spec(const gml_op_info *op, const char *name)
{
    for (const gml_attr_spec *spec = op->attrs; spec != NULL && spec->name != NULL; spec++) {
        if (strcmp(spec->name, name) == 0)
            return spec;
    }
    return NULL;
}

static gml_status check_attr(gml_importer *importer, const gml_node *node, const char *name,
                             gml_attr_kind kind)
{
    static const char *const kinds[] = {"nothing",  "an integer", "a float", "a string",
                                        "a tensor", "a type",     "a graph", "integers",
                                        "floats",   "strings",    "tensors"};
    const gml_attr_spec *spec = find_spec(node->op, name);
    if (spec == NULL)
        return gml_import_fail(importer, GML_E_INVALID, node->loc, "unknown attribute %s",
                               name);
    if (spec->kind != kind)
        return gml_import_fail(importer, GML_E_INVALID, node->loc,
                               "attribute %s is %s where %s should be", name, kinds[kind],
                               kinds[spec->kind]);
    return GML_OK;
}

static gml_status attach_attributes(gml_importer *importer, gml_node *node,
                                    const gml_draft *draft)
{
    for (size_t i = 0; i < draft->attrs.count; i++) {
        const gml_attr *attr = &draft->attrs.items[i];
        GML_TRY(check_attr(importer, node, attr->name, attr->kind));
        gml_node_set_attr(node, attr);
    }
    return GML_OK;
}

static gml_status find_named(gml_scope *scope, const gml_node *node, const char *attr,
                             gml_string name, gml_value **out_value)
{
    const char *text = gml_arena_text(&scope->importer->scratch, name.data, name.len);
    *out_value = gml_scope_find(scope, text);
    if (*out_value != NULL)
        return GML_OK;
    return gml_import_fail(scope->importer, GML_E_INVALID, node->loc,
                           "attribute %s: there is no value \"%s\" before this node", attr,
                           text);
}

/* Values that attributes name become operands: names do not last. */
static gml_status append_named_values(gml_scope *scope, gml_node *node)
{
    uint32_t n = node->n_operands;
    gml_vec(gml_value *) operands = {0};
    gml_arena *scratch = &scope->importer->scratch;
    for (uint32_t k = 0; k < n; k++)
        gml_push(scratch, &operands, node->operands[k]);
    for (const gml_attr_spec *spec = node->op->attrs; spec && spec->name; spec++) {
        const gml_attr *attr = spec->names_values ? gml_node_find_attr(node, spec->name) : NULL;
        size_t count = !attr ? 0 : attr->kind == GML_ATTR_STRINGS ? attr->count : 1;
        for (size_t i = 0; i < count; i++) {
            gml_value *value;
            gml_string name = attr->kind == GML_ATTR_STRINGS ? attr->as.strings[i] : attr->as.s;
            GML_TRY(find_named(scope, node, spec->name, name, &value));
            gml_push(scratch, &operands, value);
        }
    }
    if (operands.count > n)
        gml_node_set_operands(node, operands.items, (uint32_t)operands.count);
    return GML_OK;
}

static gml_status attach_regions(gml_importer *importer, gml_node *node,
                                 const graph_attrs *graphs)
{
    for (size_t i = 0; i < graphs->list.count; i++) {
        const graph_attr *item = &graphs->list.items[i];
        GML_TRY(check_attr(importer, node, item->name, GML_ATTR_GRAPH));
        const Onnx__GraphProto *proto = item->binding.attr->g;
        if (proto == NULL)
            return gml_import_fail(importer, GML_E_INVALID, node->loc,
                                   "attribute %s has no graph", item->name);
        gml_graph *region =
            gml_graph_create(importer->module, gml_text_or_empty(proto->name), node);
        gml_scope scope;
        gml_scope_init(&scope, importer, region, item->binding.scope);
        gml_import_graph(&scope, proto);
        gml_node_set_region(node, item->name, region);
    }
    return GML_OK;
}

/* ---- constants ------------------------------------------------------------------------------
 */

/* Constant's attributes other than value and sparse_value, as a tensor. */
static bool tensor_of_attr(gml_arena *arena, const gml_attr *attr, gml_tensor *out_tensor)
{
    static const struct {
        const char *name;
        gml_attr_kind kind;
        gml_dtype dtype;
        int rank;
    } forms[] = {
        {"value_float", GML_ATTR_FLOAT, GML_F32, 0},
        {"value_int", GML_ATTR_INT, GML_I64, 0},
        {"value_string", GML_ATTR_STRING, GML_STRING, 0},
        {"value_floats", GML_ATTR_FLOATS, GML_F32, 1},
        {"value_ints", GML_ATTR_INTS, GML_I64, 1},
        {"value_strings", GML_ATTR_STRINGS, GML_STRING, 1},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (attr->kind != forms[i].kind || strcmp(attr->name, forms[i].name) != 0)
            continue;
        size_t size = gml_dtype_size(forms[i].dtype);
        const void *data = &attr->as;
        if (forms[i].rank == 1)
            data = attr->as.ints; /* the pointers of the union are one another's */
        *out_tensor = (gml_tensor){.dtype = forms[i].dtype, .rank = forms[i].rank};
        out_tensor->dims[0] = (int64_t)attr->count;
        out_tensor->data = gml_arena_copy(arena, data, attr->count * size);
        return true;
    }
    return false;
}

static gml_status import_constant(gml_scope *scope, const Onnx__NodeProto *proto,
                                  const gml_draft *draft)
{
    gml_importer *importer = scope->importer;
    if (draft->attrs.count != 1 || proto->n_output != 1 || proto->n_input != 0)
        return gml_import_fail(importer, GML_E_INVALID, draft->loc,
                               "a Constant has %zu operands, %zu attributes and %zu results "
                               "where 0, 1 and 1 should be",
                               proto->n_input, draft->attrs.count, proto->n_output);
    const gml_attr *attr = &draft->attrs.items[0];
    gml_tensor tensor;
    bool is_tensor = attr->kind == GML_ATTR_TENSOR && (strcmp(attr->name, "value") == 0 ||
                                                       strcmp(attr->name, "sparse_value") == 0);
    if (is_tensor)
        tensor = *attr->as.t;
    else if (!tensor_of_attr(importer->arena, attr, &tensor))
        return gml_import_fail(importer, GML_E_INVALID, draft->loc, "unknown attribute %s",
                               attr->name);
    gml_value *value = gml_graph_constant(scope->graph, NULL, &tensor, draft->loc);
    gml_scope_define(scope, proto->output[0], value, draft->loc);
    return GML_OK;
}

/* ---- operators ------------------------------------------------------------------------------
 */

static void note_unknown(gml_importer *importer, const gml_draft *draft)
{
    for (size_t i = 0; i < importer->unknown.count; i++) {
        gml_unknown_op *unknown = importer->unknown.items[i];
        if (strcmp(unknown->op, draft->op) == 0 &&
            strcmp(unknown->domain, draft->domain) == 0 && unknown->version == draft->version) {
            gml_push(&importer->scratch, &unknown->more, draft->loc.node);
            return;
        }
    }
    gml_unknown_op *unknown = gml_new(&importer->scratch, gml_unknown_op);
    unknown->op = draft->op;
    unknown->domain = draft->domain;
    unknown->version = draft->version;
    unknown->loc = draft->loc;
    gml_push(&importer->scratch, &importer->unknown, unknown);
}

/* What inference could not say, the file may. */
static void apply_hints(gml_scope *scope, gml_node *node, const Onnx__NodeProto *proto)
{
    gml_importer *importer = scope->importer;
    for (uint32_t i = 0; i < node->n_results && i < proto->n_output; i++) {
        gml_type *type = &node->results[i].type;
        bool is_known = type->kind != GML_TYPE_UNKNOWN &&
                        (type->kind != GML_TYPE_TENSOR || type->rank >= 0);
        const Onnx__TypeProto *hint = gml_map_find(&scope->hints, proto->output[i]);
        gml_type hinted;
        if (is_known || hint == NULL ||
            gml_import_type(importer, hint, node->loc, &hinted) != GML_OK)
            continue;
        bool fits = type->kind == GML_TYPE_UNKNOWN ||
                    (hinted.kind == GML_TYPE_TENSOR && hinted.dtype == type->dtype);
        if (fits)
            *type = hinted;
    }
}

/* Types are inferred as nodes come, in the main graph; those of a region with its owner. */
static void infer_node(gml_scope *scope, gml_node *node, bool has_regions)
{
    gml_importer *importer = scope->importer;
    if (importer->options->skip_infer || scope->graph->owner != NULL)
        return;
    for (uint32_t i = 0; i < node->n_operands; i++) {
        if (node->operands[i] != NULL && node->operands[i]->type.kind == GML_TYPE_UNKNOWN)
            return; /* its own fault was reported */
    }
    if (has_regions && gml_import_has_failed(importer))
        return;
    (void)!gml_node_infer(node, importer->diags);
}

static gml_status build_node(gml_scope *scope, const Onnx__NodeProto *proto, gml_draft *draft,
                             const graph_attrs *graphs)
{
    gml_importer *importer = scope->importer;
    const gml_op_info *op = gml_op_find(draft->domain, draft->op);
    if (op == NULL) {
        note_unknown(importer, draft);
        return GML_E_UNSUPPORTED;
    }
    gml_node *node =
        gml_node_create(scope->graph, NULL, op, draft->operands.items,
                        (uint32_t)draft->operands.count, draft->n_outputs, draft->loc);
    GML_TRY(attach_attributes(importer, node, draft));
    GML_TRY(append_named_values(scope, node));
    GML_TRY(attach_regions(importer, node, graphs));
    for (uint32_t i = 0; i < draft->n_outputs; i++) {
        draft->results[i] = &node->results[i];
        if (*draft->outputs[i] == '\0')
            node->results[i].name = "";
    }
    infer_node(scope, node, graphs->list.count != 0);
    apply_hints(scope, node, proto);
    return GML_OK;
}

/* Nodes that an upgrade put after `last`. */
static void infer_added(gml_scope *scope, gml_node *last)
{
    gml_node *node = last != NULL ? last->next : scope->graph->first;
    for (; node != NULL; node = node->next) {
        if (node->n_results != 0 && node->results[0].type.kind == GML_TYPE_UNKNOWN)
            infer_node(scope, node, false);
    }
}

/* Before opset 9 Scan ran once for every element of a batch: its operands, after one for the
 * lengths, had an axis more in front. That is a Scan over the batch around the Scan of today:
 *
 *     results = Scan(states..., inputs...) { inner(state..., input...) = Scan(...) { body } }
 */
static gml_status build_batched_scan(gml_scope *scope, gml_draft *draft,
                                     const graph_attrs *graphs)
{
    gml_importer *importer = scope->importer;
    gml_module *module = importer->module;
    const gml_op_info *op = gml_op_find(NULL, "Scan");
    if (op == NULL || draft->operands.count < 2 || gml_draft_operand(draft, 0) != NULL)
        return gml_draft_refuse(draft, "sequence_lens is not supported");
    uint32_t n = (uint32_t)draft->operands.count - 1;
    gml_node *outer = gml_node_create(scope->graph, NULL, op, draft->operands.items + 1, n,
                                      draft->n_outputs, draft->loc);
    gml_graph *region = gml_graph_create(module, "batch", outer);
    gml_value **params = gml_new_array(&importer->scratch, gml_value *, n);
    for (uint32_t i = 0; i < n; i++)
        params[i] = gml_graph_add_param(region, NULL, (gml_type){.kind = GML_TYPE_UNKNOWN});
    gml_node *inner =
        gml_node_create(region, NULL, op, params, n, draft->n_outputs, draft->loc);
    const gml_attr *directions = gml_draft_find(draft, "directions", GML_ATTR_INTS);
    if (directions != NULL)
        gml_node_set_ints(inner, "scan_input_directions", directions->as.ints,
                          directions->count);
    gml_node_set_int(inner, "num_scan_inputs", gml_draft_int(draft, "num_scan_inputs", 0));
    GML_TRY(attach_regions(importer, inner, graphs));
    for (uint32_t i = 0; i < draft->n_outputs; i++) {
        gml_graph_add_result(region, &inner->results[i], NULL);
        draft->results[i] = &outer->results[i];
    }
    gml_node_set_int(outer, "num_scan_inputs", n);
    gml_node_set_region(outer, "body", region);
    infer_node(scope, outer, true);
    return GML_OK;
}

static bool is_batched_scan(const gml_draft *draft)
{
    return *draft->domain == '\0' && draft->version < 9 && strcmp(draft->op, "Scan") == 0;
}

static gml_status import_operator(gml_scope *scope, const Onnx__NodeProto *proto, gml_loc loc)
{
    gml_importer *importer = scope->importer;
    const char *domain = gml_domain_name(proto->domain);
    gml_draft draft = {
        .op = loc.op,
        .domain = gml_import_text(importer, domain),
        .version = gml_opset_version(scope, domain),
        .outputs = (const char *const *)proto->output,
        .n_outputs = (uint32_t)proto->n_output,
        .graph = scope->graph,
        .inferred = &scope->inferred,
        .loc = loc,
        .diags = importer->diags,
    };
    draft.results = gml_new_array(&importer->scratch, gml_value *, proto->n_output);
    graph_attrs graphs = {.list = {.count = 0}};
    import_operands(scope, proto, &draft);
    GML_TRY(import_attributes(scope, proto, &draft, &graphs));
    if (*domain == '\0' && strcmp(loc.op, "Constant") == 0)
        return import_constant(scope, proto, &draft);
    gml_node *last = scope->graph->last;
    GML_TRY(gml_opset_upgrade(&draft));
    infer_added(scope, last);
    if (is_batched_scan(&draft))
        GML_TRY(build_batched_scan(scope, &draft, &graphs));
    bool is_built = proto->n_output != 0 && draft.results[0] != NULL;
    if (!is_built)
        GML_TRY(build_node(scope, proto, &draft, &graphs));
    for (size_t i = 0; i < proto->n_output; i++) {
        if (*proto->output[i] != '\0' && draft.results[i] != NULL)
            gml_scope_define(scope, proto->output[i], draft.results[i], loc);
    }
    return GML_OK;
}

void gml_import_node(gml_scope *scope, const Onnx__NodeProto *proto)
{
    gml_loc loc = gml_node_loc(scope, proto);
    if (proto->op_type == NULL || *proto->op_type == '\0') {
        (void)gml_import_fail(scope->importer, GML_E_INVALID, loc, "a node has no operator");
        return;
    }
    const Onnx__FunctionProto *function = gml_find_function(scope, proto);
    if (function != NULL)
        gml_import_call(scope, proto, function, loc);
    else if (import_operator(scope, proto, loc) != GML_OK)
        gml_import_placeholders(scope, proto, loc);
}
