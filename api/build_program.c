/* api/build_program.c - from an optimised graph to a program without addresses. */
#include "api/build_frame.h"

#include <string.h>

/* ---- slots --------------------------------------------------------------------------------
 */

uint32_t gml_frame_add_slot(gml_build_frame *f, const gml_value *value, gml_slot_kind kind)
{
    gml_arena *arena = &f->program->arena;
    const gml_type *type = &value->type;
    gml_slot slot = {.kind = kind, .rank = GML_NO_RANK, .channels_last = value->channels_last};
    slot.name = value->name ? gml_arena_text(arena, value->name, strlen(value->name)) : NULL;
    if (kind == GML_SLOT_CONSTANT) {
        slot.dtype = value->constant->dtype;
        slot.rank = value->constant->rank;
        slot.dims =
            gml_arena_copy(arena, value->constant->dims, (size_t)slot.rank * sizeof *slot.dims);
        slot.data = value->constant->data;
    } else if (type->kind == GML_TYPE_TENSOR) {
        slot.dtype = type->dtype;
        slot.rank = type->rank == GML_RANK_UNKNOWN ? GML_NO_RANK : type->rank;
        if (slot.rank > 0)
            slot.dims =
                gml_arena_copy(arena, type->dims, (size_t)slot.rank * sizeof *slot.dims);
    }
    uint32_t number = (uint32_t)f->program->slots.count;
    gml_push(arena, &f->program->slots, slot);
    f->slots[value->id] = number + 1;
    return number;
}

gml_status gml_frame_find_slot(gml_build_frame *f, const gml_value *value, gml_loc loc,
                               uint32_t *out_slot)
{
    *out_slot = GML_NO_SLOT;
    if (!value)
        return GML_OK;
    if (f->slots[value->id])
        *out_slot = f->slots[value->id] - 1;
    else if (value->constant)
        *out_slot = gml_frame_add_slot(f, value, GML_SLOT_CONSTANT);
    else
        return gml_fail(f->builder->diags, GML_E_INTERNAL, loc, "value %s of %s has no slot",
                        value->name ? value->name : "?",
                        value->def ? value->def->op->name : "the graph");
    return GML_OK;
}

/* ---- host operators and regions -----------------------------------------------------------
 */

typedef struct capture_list {
    gml_arena *arena;
    const gml_graph *region;
    gml_vec(gml_value *) values;
} capture_list;

static bool is_inside(const gml_graph *region, const gml_graph *graph)
{
    for (; graph; graph = graph->owner ? graph->owner->graph : NULL)
        if (graph == region)
            return true;
    return false;
}

static void capture(capture_list *list, gml_value *value)
{
    if (!value || value->constant || is_inside(list->region, value->graph))
        return;
    for (size_t i = 0; i < list->values.count; i++)
        if (list->values.items[i] == value)
            return;
    gml_push(list->arena, &list->values, value);
}

static void capture_graph(capture_list *list, const gml_graph *graph)
{
    for (const gml_node *node = graph->first; node; node = node->next) {
        for (uint32_t k = 0; k < node->n_operands; k++)
            capture(list, node->operands[k]);
        for (uint32_t i = 0; i < node->n_attrs; i++)
            if (node->attrs[i].kind == GML_ATTR_GRAPH)
                capture_graph(list, node->attrs[i].as.graph);
    }
    for (uint32_t r = 0; r < graph->n_results; r++)
        capture(list, graph->results[r]);
}

static gml_status add_region(gml_build_frame *f, const gml_node *node, const gml_graph *graph,
                             gml_region *out_region)
{
    capture_list list = {.arena = f->builder->scratch, .region = graph};
    capture_graph(&list, graph);
    uint32_t n = (uint32_t)list.values.count;
    uint32_t *slots = gml_new_array(&f->program->arena, uint32_t, n + 1);
    for (uint32_t i = 0; i < n; i++)
        GML_TRY(gml_frame_find_slot(f, list.values.items[i], node->loc, &slots[i]));
    GML_TRY(gml_build_program(f->builder, graph, list.values.items, n, &out_region->program));
    out_region->n_params = graph->n_params;
    out_region->captures = slots;
    out_region->n_captures = n;
    return GML_OK;
}

static gml_attr copy_attr(gml_arena *arena, const gml_attr *attr)
{
    gml_attr copy = *attr;
    copy.name = gml_arena_text(arena, attr->name, strlen(attr->name));
    return copy; /* the elements stay in the module, which the program keeps */
}

static gml_status add_host(gml_build_frame *f, const gml_node *node)
{
    gml_arena *arena = &f->program->arena;
    gml_step step = gml_frame_begin_step(f, node);
    gml_attr *attrs = gml_new_array(arena, gml_attr, node->n_attrs + 1);
    gml_region *regions = gml_new_array(arena, gml_region, node->n_attrs + 1);
    gml_dtype *dtypes = gml_new_array(arena, gml_dtype, node->n_results + 1);
    uint32_t *inputs = gml_new_array(arena, uint32_t, node->n_operands + 1);
    uint32_t *outputs = gml_new_array(arena, uint32_t, node->n_results + 1);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        attrs[i] = copy_attr(arena, &node->attrs[i]);
        if (attrs[i].kind != GML_ATTR_GRAPH)
            continue;
        attrs[i].count = step.n_regions;
        GML_TRY(add_region(f, node, node->attrs[i].as.graph, &regions[step.n_regions++]));
    }
    for (uint32_t k = 0; k < node->n_operands; k++)
        GML_TRY(gml_frame_find_slot(f, node->operands[k], node->loc, &inputs[k]));
    for (uint32_t r = 0; r < node->n_results; r++) {
        const gml_type *type = &node->results[r].type;
        dtypes[r] = type->kind == GML_TYPE_TENSOR ? type->dtype : GML_NONE;
        outputs[r] = gml_frame_add_slot(f, &node->results[r], GML_SLOT_VALUE);
    }
    step.kind = GML_STEP_HOST;
    step.host_name = node->op->host;
    step.host = gml_host_find(node->op->host);
    if (!step.host)
        return gml_fail(f->builder->diags, GML_E_INTERNAL, node->loc,
                        "host operator '%s' is missing", node->op->host);
    step.attrs = attrs;
    step.n_attrs = node->n_attrs;
    step.regions = regions;
    step.output_dtypes = dtypes;
    step.inputs = inputs;
    step.n_inputs = node->n_operands;
    step.outputs = outputs;
    step.n_outputs = node->n_results;
    gml_push(arena, &f->program->steps, step);
    return GML_OK;
}

gml_step gml_frame_begin_step(gml_build_frame *f, const gml_node *node)
{
    const char *name = node->loc.node ? node->loc.node : "";
    return (gml_step){.node = gml_arena_text(&f->program->arena, name, strlen(name)),
                      .op = node->op->name,
                      .name = node->op->name};
}

/* ---- graphs -------------------------------------------------------------------------------
 */

static bool is_constant(const gml_node *node)
{
    for (uint32_t r = 0; r < node->n_results; r++)
        if (!node->results[r].constant)
            return false;
    return node->n_results > 0;
}

static gml_status add_node(gml_build_frame *f, const gml_node *node)
{
    if (!node->op->host && node->op->expand && !is_constant(node))
        return gml_fail(f->builder->diags, GML_E_INTERNAL, node->loc,
                        "a composite operator was not expanded");
    if (node->op->host || is_constant(node)) {
        GML_TRY(gml_frame_flush(f));
        gml_checks_add(&f->checks, node, false);
        return is_constant(node) ? GML_OK : add_host(f, node);
    }
    gml_kernel *kernel = NULL;
    const unsigned *numbers = NULL;
    GML_TRY(gml_frame_lower(f, node, &kernel, &numbers));
    return gml_frame_take_kernel(f, node, kernel, numbers);
}

static gml_status add_interface(gml_build_frame *f)
{
    const gml_graph *graph = f->graph;
    gml_program *program = f->program;
    gml_arena *arena = &program->arena;
    program->n_outputs = graph->n_results;
    program->outputs = gml_new_array(arena, uint32_t, graph->n_results + 1);
    program->output_names = gml_new_array(arena, const char *, graph->n_results + 1);
    for (uint32_t r = 0; r < graph->n_results; r++) {
        GML_TRY(gml_frame_find_slot(f, graph->results[r],
                                    (gml_loc){.file = f->builder->module->file},
                                    &program->outputs[r]));
        const char *name = graph->result_names && graph->result_names[r]
                               ? graph->result_names[r]
                               : graph->results[r]->name;
        program->output_names[r] = name ? gml_arena_text(arena, name, strlen(name)) : "";
    }
    return GML_OK;
}

static void add_inputs(gml_build_frame *f)
{
    const gml_graph *graph = f->graph;
    gml_program *program = f->program;
    uint32_t n = graph->n_params + f->n_captures;
    program->n_inputs = n;
    program->inputs = gml_new_array(&program->arena, uint32_t, n + 1);
    program->input_names = gml_new_array(&program->arena, const char *, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        const gml_value *value =
            i < graph->n_params ? graph->params[i] : f->captures[i - graph->n_params];
        program->inputs[i] = gml_frame_add_slot(f, value, GML_SLOT_INPUT);
        program->input_names[i] =
            value->name ? program->slots.items[program->inputs[i]].name : "";
    }
}

static uint32_t number_of(uint32_t index)
{
    return index == GML_NO_INDEX ? GML_NO_SLOT : index;
}

static void add_states(gml_build_frame *f)
{
    const gml_module *module = f->builder->module;
    gml_arena *arena = &f->program->arena;
    for (size_t i = 0; f->graph == module->main && i < module->states.count; i++) {
        const gml_state *state = &module->states.items[i];
        gml_program_state copy = {
            .name = gml_arena_text(arena, state->name, strlen(state->name)),
            .input = number_of(state->param),
            .output = number_of(state->result),
            .initial = state->param != GML_NO_INDEX ? state->initial.data : NULL};
        gml_push(arena, &f->program->states, copy);
    }
}

static void mark_updates(gml_build_frame *f)
{
    const gml_module *module = f->builder->module;
    f->is_update = gml_new_array(f->builder->scratch, bool, module->n_values + 1);
    for (size_t i = 0; f->graph == module->main && i < module->states.count; i++) {
        const gml_state *state = &module->states.items[i];
        if (state->param != GML_NO_INDEX && state->result != GML_NO_INDEX)
            f->is_update[f->graph->results[state->result]->id] = true;
    }
}

gml_status gml_build_program(gml_program_builder *builder, const gml_graph *graph,
                             gml_value *const *captures, uint32_t n_captures,
                             gml_program **out_program)
{
    *out_program = NULL;
    gml_program *program = gml_program_create();
    if (!program)
        return gml_fail(builder->diags, GML_E_MEMORY, (gml_loc){.file = builder->module->file},
                        "no memory for a program");
    gml_push(builder->scratch, &builder->programs, program);
    *out_program = program;
    gml_build_frame f = {.builder = builder,
                         .graph = graph,
                         .program = program,
                         .captures = captures,
                         .n_captures = n_captures};
    f.slots = gml_new_array(builder->scratch, uint32_t, builder->module->n_values + 1);
    add_inputs(&f);
    add_states(&f);
    gml_checks_begin(&f.checks, program, builder->scratch);
    gml_str_init(&f.pending_text);
    mark_updates(&f);
    gml_status status = GML_OK;
    for (const gml_node *node = graph->first; node; node = node->next)
        status = status == GML_OK ? add_node(&f, node) : status;
    status = status == GML_OK ? gml_frame_flush(&f) : status;
    gml_str_reset(&f.pending_text);
    GML_TRY(status);
    gml_checks_end(&f.checks, graph);
    return add_interface(&f);
}

void gml_program_copy_dims(gml_program *program, const gml_dim_pool *from)
{
    gml_dim_pool *to = &program->dims;
    to->exprs.count = 0;
    for (size_t i = 0; i < from->exprs.count; i++) {
        gml_dim_expr expr = from->exprs.items[i];
        if (expr.name)
            expr.name = gml_arena_text(&program->arena, expr.name, strlen(expr.name));
        gml_push(&program->arena, &to->exprs, expr);
    }
}

gml_status gml_link_program(gml_program_builder *builder, const gml_jit *jit)
{
    for (size_t p = 0; p < builder->programs.count; p++) {
        gml_program *program = builder->programs.items[p];
        gml_program_copy_dims(program, &builder->module->dims);
        for (size_t s = 0; s < program->steps.count; s++) {
            gml_step *step = &program->steps.items[s];
            gml_phase *phases =
                gml_arena_copy(&program->arena, step->phases, step->n_phases * sizeof *phases);
            for (uint32_t i = 0; i < step->n_phases; i++) {
                phases[i].run = gml_jit_find(jit, phases[i].symbol);
                if (!phases[i].run)
                    return gml_fail(builder->diags, GML_E_INTERNAL,
                                    (gml_loc){.node = step->node, .op = step->op},
                                    "generated code is missing: %s", phases[i].symbol);
            }
            step->phases = phases;
        }
    }
    /* regions were made after the programs around them, and are planned before */
    for (size_t p = builder->programs.count; p-- > 0;)
        GML_TRY(gml_program_plan(builder->programs.items[p], builder->diags));
    return GML_OK;
}
