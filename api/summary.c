/* api/summary.c - what a model is: operators, parameters, arithmetic. */
#include "api/summary.h"

#include "ir/op.h"
#include "passes/pass.h"

#include <stdlib.h>
#include <string.h>

typedef struct summarizer {
    gml_summary *summary;
    gml_arena *arena;
    gml_vec(gml_op_count) ops;
} summarizer;

static const char *domain_of(const gml_op_info *op)
{
    return op->domain ? op->domain : "ai.onnx";
}

/* ---- operators and constants --------------------------------------------------------------
 */

static void count_constant(gml_summary *summary, const gml_tensor *tensor)
{
    uint64_t n = (uint64_t)gml_tensor_numel(tensor);
    gml_dtype_class class = gml_dtype_get_class(tensor->dtype);
    if (tensor->dtype != GML_I64 && class != GML_CLASS_BOOL && class != GML_CLASS_STRING)
        summary->n_parameters += n;
    if (class != GML_CLASS_STRING)
        summary->constant_bytes += (n * gml_dtype_bits(tensor->dtype) + 7) / 8;
    for (uint64_t i = 0; i < n && class == GML_CLASS_STRING && tensor->data; i++)
        summary->constant_bytes += ((const gml_string *)tensor->data)[i].len;
}

/* The row of the operator called `name`, made when new. */
static gml_op_count *find_row(summarizer *s, const char *domain, const char *name)
{
    for (size_t i = 0; i < s->ops.count; i++)
        if (strcmp(s->ops.items[i].op, name) == 0)
            return &s->ops.items[i];
    gml_op_count row = {.domain = domain, .op = name};
    gml_push(s->arena, &s->ops, row);
    return &s->ops.items[s->ops.count - 1];
}

static void count_graph(summarizer *s, const gml_graph *graph)
{
    for (const gml_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                count_graph(s, node->attrs[i].as.graph);
        if (node->op == &gml_op_constant) {
            if (node->n_results && node->results[0].constant)
                count_constant(s->summary, node->results[0].constant);
            continue;
        }
        find_row(s, domain_of(node->op), node->op->name)->count++;
        s->summary->n_nodes++;
    }
}

static int by_count(const void *a, const void *b)
{
    const gml_op_count *x = a;
    const gml_op_count *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return strcmp(x->op, y->op);
}

/* A compiled model has steps instead of nodes. */
static void count_program(summarizer *s, const gml_program *program)
{
    for (size_t i = 0; i < program->slots.count; i++) {
        const gml_slot *slot = &program->slots.items[i];
        gml_tensor tensor = {.dtype = slot->dtype, .rank = slot->rank};
        if (slot->kind != GML_SLOT_CONSTANT || slot->dtype == GML_STRING)
            continue;
        for (int d = 0; d < slot->rank; d++)
            tensor.dims[d] = slot->dims[d];
        count_constant(s->summary, &tensor);
    }
    for (size_t i = 0; i < program->steps.count; i++) {
        const gml_step *step = &program->steps.items[i];
        const char *name = step->op && *step->op ? step->op : step->name;
        find_row(s, "ai.onnx", name ? name : "")->count++;
        s->summary->n_nodes++;
    }
}

/* ---- arithmetic ---------------------------------------------------------------------------
 */

static bool is_product(const gml_expr *expr)
{
    if (expr->kind != GML_EXPR_SCALAR)
        return false;
    gml_scalar_op op = expr->as.scalar.op;
    if (op == GML_X_CAST)
        return is_product(expr->as.scalar.args[0]);
    if (op == GML_X_SELECT) /* padding */
        return is_product(expr->as.scalar.args[1]) || is_product(expr->as.scalar.args[2]);
    return op == GML_X_MUL;
}

static gml_dim repetitions(const gml_kernel *kernel, uint64_t axes)
{
    gml_dim product = 1;
    for (size_t i = 0; i < kernel->axes.count; i++) {
        const gml_axis *axis = kernel->axes.items[i];
        if (axes >> axis->number & 1)
            product = gml_dim_mul(kernel->dims, product, axis->extent);
    }
    return product;
}

/* Steps of the sums of products in `kernel`: each sum runs once for every value of the axes
 * that it depends on. Sums that the kernel only made on the way to others are not in `exprs`
 * twice: equal ones are one. */
static gml_dim count_macs(const gml_kernel *kernel)
{
    gml_dim total = 0;
    for (size_t i = 0; i < kernel->exprs.count; i++) {
        const gml_expr *expr = kernel->exprs.items[i];
        if (expr->kind != GML_EXPR_REDUCE || expr->as.reduce.op != GML_REDUCE_SUM ||
            !is_product(expr->as.reduce.body))
            continue;
        uint64_t axes = expr->free;
        for (unsigned k = 0; k < expr->as.reduce.n_axes; k++)
            axes |= (uint64_t)1 << expr->as.reduce.axes[k]->number;
        total = gml_dim_add(kernel->dims, total, repetitions(kernel, axes));
    }
    return total;
}

static void add_cost(summarizer *s, gml_module *module, const gml_node *node,
                     gml_arena *scratch)
{
    gml_summary *summary = s->summary;
    gml_dim flops = 0;
    gml_dim bytes = 0;
    unsigned *inputs = gml_new_array(scratch, unsigned, node->n_operands + 1);
    gml_kernel *kernel = gml_lower_node(scratch, &module->dims, node, inputs);
    gml_kernel_cost(kernel, &flops, &bytes);
    summary->flops = gml_dim_add(&module->dims, summary->flops, flops);
    if (!(node->op->traits & GML_CONTRACTION))
        return;
    gml_dim macs = count_macs(kernel);
    summary->macs = gml_dim_add(&module->dims, summary->macs, macs);
    /* the operator of the file that this one came from, if its nodes were counted */
    const gml_op_info *origin = node->loc.op ? gml_op_find(NULL, node->loc.op) : NULL;
    origin = origin ? origin : node->op;
    gml_op_count *row = find_row(s, domain_of(origin), origin->name);
    row->macs = gml_dim_add(&module->dims, row->macs, macs);
}

static bool has_kernel(const gml_node *node)
{
    if (!node->op->scalar && !node->op->lower)
        return false;
    bool is_known = true;
    for (uint32_t r = 0; r < node->n_results; r++) {
        const gml_type *type = &node->results[r].type;
        if (type->kind != GML_TYPE_TENSOR || type->rank == GML_RANK_UNKNOWN)
            return false;
        is_known = is_known && node->results[r].constant;
    }
    return !is_known;
}

static void add_costs(summarizer *s, gml_module *module, const gml_graph *graph)
{
    for (const gml_node *node = graph->first; node; node = node->next) {
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                add_costs(s, module, node->attrs[i].as.graph);
        if (!has_kernel(node))
            continue;
        gml_arena scratch;
        gml_arena_init(&scratch);
        add_cost(s, module, node, &scratch);
        gml_arena_reset(&scratch);
    }
}

/* The first thing that was said, or NULL. */
static const char *first_text(const gml_diags *diags, gml_arena *arena)
{
    if (diags->list.count == 0)
        return "no shapes";
    const gml_diag *diag = &diags->list.items[0];
    return gml_arena_printf(arena, "%s%s%s", diag->loc.node ? diag->loc.node : "",
                            diag->loc.node ? ": " : "", diag->text);
}

static void count_arithmetic(summarizer *s, const gml_model *model)
{
    gml_module *module = NULL;
    bool trains = gml_model_module(model)->states.count > 0;
    const char *steps = trains ? "differentiate,expand,dce" : "expand";
    gml_passes_options options = {0};
    gml_diags diags;
    gml_diags_init(&diags, s->arena);
    gml_status status = gml_source_import(gml_model_source(model), true, &module, &diags);
    if (status == GML_OK)
        status = gml_passes_run(module, steps, &options, &diags);
    if (status != GML_OK) {
        s->summary->no_cost = first_text(&diags, s->arena);
        gml_module_destroy(module);
        return;
    }
    s->summary->module = module;
    add_costs(s, module, module->main);
}

static void count_states(gml_summary *summary, const gml_module *module)
{
    for (size_t i = 0; i < module->states.count; i++) {
        const gml_state *state = &module->states.items[i];
        uint64_t n = (uint64_t)gml_tensor_numel(&state->initial);
        summary->n_states++;
        summary->state_bytes += (n * gml_dtype_bits(state->initial.dtype) + 7) / 8;
        summary->n_trained += state->is_trained;
        summary->trained_elements += state->is_trained ? n : 0;
    }
}

/* The first size that all inputs have in common, when it is a number. */
static int64_t find_batch(const gml_module *module)
{
    int64_t batch = 0;
    size_t n_states = 0;
    for (size_t i = 0; i < module->states.count; i++)
        n_states += module->states.items[i].param != GML_NO_INDEX;
    for (uint32_t i = 0; i + n_states < module->main->n_params; i++) {
        const gml_type *type = &module->main->params[i]->type;
        if (type->kind != GML_TYPE_TENSOR || type->rank < 1 ||
            !gml_dim_is_const(type->dims[0]) || (batch != 0 && type->dims[0] != batch))
            return 0;
        batch = type->dims[0];
    }
    return batch;
}

void gml_summarize(const gml_model *model, gml_arena *arena, gml_summary *out_summary)
{
    *out_summary = (gml_summary){0};
    summarizer s = {.summary = out_summary, .arena = arena};
    const gml_program *program = gml_model_source(model)->artifact.program;
    if (program) {
        count_program(&s, program);
        count_states(out_summary, gml_model_module(model));
        out_summary->no_cost = "the model is compiled";
    } else {
        count_graph(&s, gml_model_module(model)->main);
        count_states(out_summary, gml_model_module(model));
        out_summary->batch = find_batch(gml_model_module(model));
        count_arithmetic(&s, model);
    }
    if (s.ops.count)
        qsort(s.ops.items, s.ops.count, sizeof *s.ops.items, by_count);
    out_summary->ops = s.ops.items;
    out_summary->n_ops = s.ops.count;
}
