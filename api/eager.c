/* api/eager.c - runs a graph node by node on real values. */
#include "api/eager.h"

#include "ir/eval.h"
#include "ir/op.h"
#include "runtime/host.h"

#include <stdlib.h>
#include <string.h>

/* The values of one graph while it runs. */
typedef struct scope {
    const gml_module *module;
    gml_rvalue *values; /* by value id */
    uint32_t n_values;
    const struct scope *outer;
    const gml_eager_options *options;
    gml_diags *diags;
    int depth;
} scope;

#define GML_MAX_EAGER_DEPTH 200

static gml_status run_graph(const gml_graph *graph, const gml_rvalue *inputs, size_t n_inputs,
                            gml_rvalue *outputs, const scope *outer);

/* Constants stand in their own value; everything else in the scope of its graph's module. */
static const gml_rvalue *find_value(const scope *s, const gml_value *value)
{
    for (; s; s = s->outer)
        if (s->module == value->graph->module && value->id < s->n_values &&
            (s->values[value->id].kind != GML_RVALUE_NONE || s->values[value->id].is_optional))
            return &s->values[value->id];
    return NULL;
}

static gml_status fetch(const scope *s, const gml_value *value, gml_rvalue *out)
{
    *out = (gml_rvalue){0};
    if (!value)
        return GML_OK;
    const gml_rvalue *known = find_value(s, value);
    if (known) {
        *out = *known;
    } else if (value->constant) {
        out->kind = GML_RVALUE_TENSOR;
        out->tensor = *value->constant;
    }
    return GML_OK;
}

/* ---- one node in a graph of its own -------------------------------------------------------
 */

static gml_type type_of(gml_arena *arena, const gml_rvalue *value, const gml_type *declared)
{
    gml_type type = {0};
    switch (value->kind) {
    case GML_RVALUE_TENSOR:
        type =
            gml_type_tensor(arena, value->tensor.dtype, value->tensor.rank, value->tensor.dims);
        break;
    case GML_RVALUE_SEQUENCE:
        if (declared->kind == GML_TYPE_SEQUENCE || declared->kind == GML_TYPE_OPTIONAL)
            return *declared;
        type =
            gml_type_sequence(arena, value->n_items ? type_of(arena, &value->items[0], declared)
                                                    : gml_type_unranked(GML_F32));
        break;
    case GML_RVALUE_NONE:
    case GML_RVALUE_MAP: return *declared;
    }
    return value->is_optional ? gml_type_optional(arena, type) : type;
}

/* A copy of `node` in a fresh module, its operands parameters with these values. */
static gml_node *isolate(const gml_node *node, const gml_rvalue *operands, gml_module *module)
{
    gml_graph *graph = gml_graph_create(module, node->op->name, NULL);
    gml_value **values = gml_new_array(&module->arena, gml_value *, node->n_operands + 1);
    module->main = graph;
    for (uint32_t k = 0; k < node->n_operands; k++) {
        if (!node->operands[k])
            continue;
        /* one value used twice stays one value */
        for (uint32_t j = 0; j < k && !values[k]; j++)
            if (node->operands[j] == node->operands[k])
                values[k] = values[j];
        if (values[k])
            continue;
        values[k] = gml_graph_add_param(
            graph, node->operands[k]->name,
            type_of(&module->arena, &operands[k], &node->operands[k]->type));
        if (operands[k].kind == GML_RVALUE_TENSOR && !operands[k].is_optional)
            values[k]->constant = &operands[k].tensor;
    }
    gml_node *copy = gml_node_create(graph, NULL, node->op, values, node->n_operands,
                                     node->n_results, node->loc);
    for (uint32_t i = 0; i < node->n_attrs; i++)
        gml_node_set_attr(copy, &node->attrs[i]);
    for (uint32_t r = 0; r < node->n_results; r++)
        copy->results[r].name = node->results[r].name;
    return copy;
}

static gml_status allocate_result(const gml_value *value, gml_rvalue *out, gml_diags *diags,
                                  gml_loc loc)
{
    if (value->type.kind != GML_TYPE_TENSOR || !gml_type_is_static(&value->type))
        return gml_fail(diags, GML_E_UNSUPPORTED, loc, "the shape of a result is not known");
    gml_dtype_class class = gml_dtype_get_class(value->type.dtype);
    if (class == GML_CLASS_STRING || class == GML_CLASS_COMPLEX)
        return gml_fail(diags, GML_E_UNSUPPORTED, loc,
                        "no kernel can compute a result of this type");
    gml_status status =
        gml_rvalue_alloc(out, value->type.dtype, value->type.rank, value->type.dims);
    if (status != GML_OK)
        return gml_fail(diags, status, loc, "no memory for a result");
    return GML_OK;
}

/* The interpreter on one lowered node. */
static gml_status run_lowered(const gml_node *node, gml_rvalue *results, gml_diags *diags)
{
    gml_module *module = node->graph->module;
    gml_arena *arena = &module->arena;
    void **outputs = gml_new_array(arena, void *, node->n_results + 1);
    void **inputs = gml_new_array(arena, void *, node->n_operands + 1);
    unsigned *numbers = gml_new_array(arena, unsigned, node->n_operands + 1);
    bool done = true;
    for (uint32_t r = 0; r < node->n_results; r++) {
        GML_TRY(allocate_result(&node->results[r], &results[r], diags, node->loc));
        outputs[r] = results[r].tensor.data;
        const gml_tensor *constant = node->results[r].constant;
        size_t bytes = 0;
        if (constant && gml_tensor_bytes(constant, &bytes) && bytes)
            memcpy(outputs[r], constant->data, bytes);
        /* Of nothing there is nothing to compute, however many rows it has. */
        done = done && (constant || gml_tensor_numel(&results[r].tensor) == 0);
    }
    if (done)
        return GML_OK;
    gml_kernel *kernel = gml_lower_node(arena, &module->dims, node, numbers);
    for (size_t i = 0; i < kernel->inputs.count; i++) {
        const gml_tensor *operand = node->operands[numbers[i]]->constant;
        if (!operand)
            return gml_fail(diags, GML_E_INTERNAL, node->loc, "operand %u has no value",
                            numbers[i]);
        inputs[i] = operand->data;
    }
    gml_eval_args args = {inputs, outputs, NULL};
    return gml_kernel_eval(kernel, &args, diags, node->loc);
}

gml_status gml_own_elements(gml_rvalue *value)
{
    gml_tensor view = value->tensor;
    size_t bytes = 0;
    for (size_t i = 0; i < value->n_items; i++)
        GML_TRY(gml_own_elements(&value->items[i]));
    if (value->kind != GML_RVALUE_TENSOR || value->buffer || view.dtype == GML_STRING ||
        !gml_tensor_bytes(&view, &bytes))
        return GML_OK;
    bool is_optional = value->is_optional;
    GML_TRY(gml_rvalue_alloc(value, view.dtype, view.rank, view.dims));
    value->is_optional = is_optional;
    if (bytes)
        memcpy(value->tensor.data, view.data, bytes);
    return GML_OK;
}

static gml_status run_expanded(gml_node *node, const gml_rvalue *operands, gml_rvalue *results,
                               const scope *s)
{
    gml_module *module = node->graph->module;
    gml_value **values = gml_new_array(&module->arena, gml_value *, node->n_results + 1);
    gml_expand cx = {node,          node->graph, module, &module->arena,
                     &module->dims, s->diags,    values};
    GML_TRY(node->op->expand(&cx));
    gml_graph *graph = node->graph;
    gml_rvalue *inputs = gml_new_array(&module->arena, gml_rvalue, graph->n_params + 1);
    for (uint32_t p = 0; p < graph->n_params; p++)
        for (uint32_t k = 0; k < node->n_operands; k++)
            if (node->operands[k] == graph->params[p])
                inputs[p] = operands[k];
    for (uint32_t r = 0; r < node->n_results; r++)
        if (values[r])
            gml_graph_add_result(graph, values[r], NULL);
    gml_node_remove(node); /* every size is a number: nothing is assumed */
    gml_rvalue *outputs = gml_new_array(&module->arena, gml_rvalue, node->n_results + 1);
    GML_TRY(run_graph(graph, inputs, graph->n_params, outputs, s));
    uint32_t next = 0;
    gml_status status = GML_OK;
    for (uint32_t r = 0; r < node->n_results; r++) {
        if (!values[r])
            continue;
        results[r] = outputs[next++];
        if (status == GML_OK)
            status = gml_own_elements(&results[r]); /* it may be the expansion's constant */
    }
    return status;
}

/* ---- host operators -----------------------------------------------------------------------
 */

typedef struct host_context {
    const scope *scope;
    const gml_graph *regions[8];
    unsigned n_regions;
} host_context;

static gml_status run_region(gml_host_call *call, unsigned region, const gml_rvalue *inputs,
                             size_t n_inputs, gml_rvalue *outputs, size_t n_outputs)
{
    const host_context *host = call->context;
    if (region >= host->n_regions || host->regions[region]->n_results != n_outputs ||
        host->regions[region]->n_params != n_inputs)
        return gml_host_fail(call, GML_E_INVALID, "region %u has other parameters or results",
                             region);
    return run_graph(host->regions[region], inputs, n_inputs, outputs, host->scope);
}

static void region_arity(const gml_host_call *call, unsigned region, size_t *out_params,
                         size_t *out_results)
{
    const host_context *host = call->context;
    *out_params = region < host->n_regions ? host->regions[region]->n_params : 0;
    *out_results = region < host->n_regions ? host->regions[region]->n_results : 0;
}

static gml_status run_host(const gml_node *node, const gml_rvalue *operands,
                           gml_rvalue *results, const scope *s)
{
    gml_arena arena;
    gml_arena_init(&arena);
    host_context context = {.scope = s};
    gml_attr *attrs = gml_new_array(&arena, gml_attr, node->n_attrs + 1);
    gml_dtype *dtypes = gml_new_array(&arena, gml_dtype, node->n_results + 1);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        attrs[i] = node->attrs[i];
        if (attrs[i].kind != GML_ATTR_GRAPH || context.n_regions == 8)
            continue;
        attrs[i].count = context.n_regions;
        context.regions[context.n_regions++] = attrs[i].as.graph;
    }
    for (uint32_t r = 0; r < node->n_results; r++)
        dtypes[r] = node->results[r].type.kind == GML_TYPE_TENSOR ? node->results[r].type.dtype
                                                                  : GML_NONE;
    gml_host_call call = {.node = node->loc.node ? node->loc.node : "",
                          .op = node->op->name,
                          .attrs = attrs,
                          .n_attrs = node->n_attrs,
                          .inputs = operands,
                          .n_inputs = node->n_operands,
                          .outputs = results,
                          .n_outputs = node->n_results,
                          .output_dtypes = dtypes,
                          .run_region = run_region,
                          .region_arity = region_arity,
                          .context = &context};
    gml_host_fn function = gml_host_find(node->op->host);
    gml_status status = GML_E_INTERNAL;
    size_t n_diags = s->diags->list.count;
    if (function)
        status = function(&call);
    if (status != GML_OK && (call.error[0] || s->diags->list.count == n_diags))
        status = gml_fail(s->diags, status, node->loc, "%s",
                          call.error[0] ? call.error : gml_status_text(status));
    gml_arena_reset(&arena);
    return status;
}

static bool has_region(const gml_node *node)
{
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (node->attrs[i].kind == GML_ATTR_GRAPH)
            return true;
    return false;
}

/* ---- graphs -------------------------------------------------------------------------------
 */

static gml_status run_node(const gml_node *node, const gml_rvalue *operands,
                           gml_rvalue *results, const scope *s)
{
    if (node->op->host && has_region(node))
        return run_host(node, operands, results, s);
    gml_module *module = gml_module_create(node->loc.file);
    gml_node *alone = isolate(node, operands, module);
    gml_status status = gml_node_infer(alone, s->diags);
    if (status == GML_OK) {
        if (alone->op->host)
            status = run_host(alone, operands, results, s);
        else if (alone->op->expand)
            status = run_expanded(alone, operands, results, s);
        else
            status = run_lowered(alone, results, s->diags);
    }
    gml_module_destroy(module);
    return status;
}

static gml_status step(const gml_node *node, scope *s)
{
    gml_rvalue operands[64];
    gml_rvalue results[64];
    gml_rvalue *wide = NULL;
    if (node->n_results > 64)
        return gml_fail(s->diags, GML_E_UNSUPPORTED, node->loc, "more than 64 results");
    gml_rvalue *in = operands;
    if (node->n_operands > 64) {
        wide = calloc(node->n_operands, sizeof *wide);
        if (!wide)
            return gml_fail(s->diags, GML_E_MEMORY, node->loc, "no memory for operands");
        in = wide;
    }
    gml_status status = GML_OK;
    memset(results, 0, sizeof results);
    for (uint32_t k = 0; k < node->n_operands && status == GML_OK; k++)
        status = fetch(s, node->operands[k], &in[k]);
    if (status == GML_OK)
        status = run_node(node, in, results, s);
    free(wide);
    if (status == GML_OK && s->options && s->options->watch && !s->outer)
        status = s->options->watch(s->options->watch_context, node, results);
    for (uint32_t r = 0; r < node->n_results; r++) {
        /* a region's node runs once an iteration */
        gml_rvalue_reset(&s->values[node->results[r].id]);
        if (status == GML_OK)
            s->values[node->results[r].id] = results[r];
        else
            gml_rvalue_reset(&results[r]);
    }
    return status;
}

static gml_status run_graph(const gml_graph *graph, const gml_rvalue *inputs, size_t n_inputs,
                            gml_rvalue *outputs, const scope *outer)
{
    gml_loc nowhere = {.file = graph->module->file};
    scope s = {.module = graph->module,
               .n_values = graph->module->n_values,
               .outer = outer,
               .options = outer->options,
               .diags = outer->diags,
               .depth = outer->depth + 1};
    if (n_inputs != graph->n_params)
        return gml_fail(s.diags, GML_E_INVALID, nowhere, "%zu inputs where %u are needed",
                        n_inputs, graph->n_params);
    if (s.depth > GML_MAX_EAGER_DEPTH)
        return gml_fail(s.diags, GML_E_UNSUPPORTED, nowhere, "graphs nest too deeply");
    if (!outer->module)
        s.outer = NULL;
    s.values = calloc((size_t)s.n_values + 1, sizeof *s.values);
    gml_status status = GML_OK;
    if (!s.values)
        return gml_fail(s.diags, GML_E_MEMORY, nowhere, "no memory for the graph's values");
    for (size_t i = 0; i < n_inputs && status == GML_OK; i++)
        status = gml_rvalue_copy(&s.values[graph->params[i]->id], &inputs[i]);
    for (const gml_node *node = graph->first; node && status == GML_OK; node = node->next)
        if (!(node->n_results == 1 && node->results[0].constant))
            status = step(node, &s);
    for (uint32_t r = 0; r < graph->n_results && status == GML_OK; r++) {
        gml_rvalue value;
        status = fetch(&s, graph->results[r], &value);
        if (status == GML_OK)
            status = gml_rvalue_copy(&outputs[r], &value);
    }
    for (uint32_t i = 0; i < s.n_values; i++)
        gml_rvalue_reset(&s.values[i]);
    free(s.values);
    return status;
}

gml_status gml_eager_run(const gml_graph *graph, const gml_rvalue *inputs, gml_rvalue *outputs,
                         const gml_eager_options *options, gml_diags *diags)
{
    scope top = {.options = options, .diags = diags};
    memset(outputs, 0, graph->n_results * sizeof *outputs);
    gml_status status = run_graph(graph, inputs, graph->n_params, outputs, &top);
    for (uint32_t r = 0; r < graph->n_results && status != GML_OK; r++)
        gml_rvalue_reset(&outputs[r]);
    return status;
}
