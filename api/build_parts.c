/* api/build_parts.c - updates of states that do the same become the parts of one step.
 *
 * AdamW of one weight and of another differ in the shape alone: flat (ir/flatten.h), their
 * kernels are one. So a kernel that computes nothing but new values of states waits for those
 * of the nodes behind it. passes/bundle.c has put together what belongs together. */
#include "api/build_frame.h"
#include "ir/flatten.h"

#include <string.h>

static bool is_update(const gml_build_frame *f, const gml_node *node)
{
    for (uint32_t r = 0; r < node->n_results; r++)
        if (!f->is_update[node->results[r].id])
            return false;
    return true;
}

/* Whether `node` reads what one that waits computes. */
static bool reads_pending(const gml_build_frame *f, const gml_node *node)
{
    for (uint32_t k = 0; k < node->n_operands; k++)
        for (size_t i = 0; i < f->pending.count; i++)
            if (node->operands[k] && node->operands[k]->def == f->pending.items[i].node)
                return true;
    return false;
}

gml_status gml_frame_take_kernel(gml_build_frame *f, const gml_node *node, gml_kernel *kernel,
                                 const unsigned *numbers)
{
    gml_pending_part part = {.node = node, .kernel = kernel, .numbers = numbers};
    gml_dim_pool *sizes = &f->builder->part_sizes;
    if (is_update(f, node))
        part.flat = gml_kernel_flatten(kernel, sizes, &part.symbol, &part.size);
    if (!part.flat) {
        GML_TRY(gml_frame_flush(f));
        return gml_frame_add_kernel(f, node, kernel, numbers);
    }
    gml_str text;
    gml_str_init(&text);
    gml_kernel_print(part.flat, &text);
    gml_status status = GML_OK;
    if (f->pending.count > 0 &&
        (strcmp(text.text, f->pending_text.text) != 0 || reads_pending(f, node)))
        status = gml_frame_flush(f);
    gml_str_reset(&f->pending_text);
    f->pending_text = text;
    if (status == GML_OK)
        gml_push(f->builder->scratch, &f->pending, part);
    return status;
}

static void explain(const gml_build_frame *f, const gml_step *step)
{
    gml_str *out = f->builder->explain;
    if (!out)
        return;
    gml_str_printf(out, "kernel %s: ", step->name);
    for (size_t i = 0; i < f->pending.count; i++) {
        gml_str_puts(out, i ? "; " : "");
        gml_frame_list_members(out, f->pending.items[i].node);
    }
    gml_str_puts(out, "\n");
}

/* The operands of one part; its inputs and outputs are as many as the first part's. */
static gml_status add_part(gml_build_frame *f, const gml_pending_part *part, uint64_t unread,
                           uint32_t *inputs, uint32_t *outputs)
{
    const gml_node *node = part->node;
    for (size_t i = 0; i < part->flat->inputs.count; i++) {
        inputs[i] = GML_NO_SLOT;
        if (i >= 64 || !(unread >> i & 1))
            GML_TRY(gml_frame_find_slot(f, node->operands[part->numbers[i]], node->loc,
                                        &inputs[i]));
    }
    for (uint32_t r = 0; r < node->n_results; r++)
        outputs[r] = gml_frame_add_slot(f, &node->results[r], GML_SLOT_ARENA);
    return GML_OK;
}

/* The operands of all parts, and what they cost together. */
static gml_status add_operands(gml_build_frame *f, const gml_code *code, gml_step *step)
{
    const gml_pending_part *parts = f->pending.items;
    gml_dim_pool *dims = &f->builder->module->dims;
    size_t n_parts = f->pending.count;
    size_t n_inputs = parts[0].flat->inputs.count;
    size_t n_outputs = parts[0].flat->outputs.count;
    uint32_t *inputs = gml_new_array(&f->program->arena, uint32_t, n_parts * n_inputs + 1);
    uint32_t *outputs = gml_new_array(&f->program->arena, uint32_t, n_parts * n_outputs + 1);
    for (size_t p = 0; p < n_parts; p++) {
        gml_dim flops = 0;
        gml_dim bytes = 0;
        GML_TRY(add_part(f, &parts[p], code->unread, inputs + p * n_inputs,
                         outputs + p * n_outputs));
        gml_kernel_cost(parts[p].kernel, &flops, &bytes);
        step->flops = gml_dim_add(dims, step->flops, flops);
        step->bytes = gml_dim_add(dims, step->bytes, bytes);
    }
    step->inputs = inputs;
    step->outputs = outputs;
    step->n_inputs = (uint32_t)(n_parts * n_inputs);
    step->n_outputs = (uint32_t)(n_parts * n_outputs);
    return GML_OK;
}

/* What each part's sizes are, and its units. */
static const gml_part_sizes *make_parts(gml_build_frame *f, const gml_code *code)
{
    const gml_dim_pool *pool = &f->builder->part_sizes;
    gml_arena *arena = &f->program->arena;
    uint32_t count = (uint32_t)f->pending.count;
    size_t symbol = gml_dim_index(f->pending.items[0].symbol);
    int64_t *values = gml_new_array(f->builder->scratch, int64_t, pool->exprs.count + 1);
    gml_part_sizes *parts = gml_new(arena, gml_part_sizes);
    parts->count = count;
    parts->n_sizes = (uint32_t)symbol + 1;
    int64_t *sizes = gml_new_array(arena, int64_t, (size_t)count * parts->n_sizes);
    int64_t *units = gml_new_array(arena, int64_t, count);
    for (uint32_t p = 0; p < count; p++) {
        values[symbol] = f->pending.items[p].size;
        sizes[(size_t)p * parts->n_sizes + symbol] = values[symbol];
        if (!gml_dim_eval(pool, code->phases[0].extent, values, &units[p]))
            return NULL;
    }
    parts->sizes = sizes;
    parts->units = units;
    return parts;
}

/* The costs of all parts' sizes together, over the operands of all. */
static bool add_costs(const gml_build_frame *f, const gml_code *code, gml_step *step)
{
    const gml_dim_pool *pool = &f->builder->part_sizes;
    const gml_part_sizes *parts = step->parts;
    const gml_cost *one = &code->phases[0].cost;
    uint32_t n_inputs = step->n_inputs / parts->count;
    uint32_t n_outputs = step->n_outputs / parts->count;
    uint32_t n = parts->count * one->n_accesses;
    gml_phase *phase = gml_arena_copy(&f->program->arena, step->phases, sizeof *phase);
    gml_access *accesses = gml_new_array(&f->program->arena, gml_access, (size_t)n + 1);
    phase->cost.accesses = accesses;
    phase->cost.n_accesses = n;
    phase->cost.flops = 0;
    for (uint32_t p = 0; p < parts->count; p++) {
        const int64_t *sizes = &parts->sizes[(size_t)p * parts->n_sizes];
        int64_t flops = 0;
        if (!gml_dim_eval(pool, one->flops, sizes, &flops))
            return false;
        phase->cost.flops += flops;
        for (uint32_t i = 0; i < one->n_accesses; i++, accesses++) {
            *accesses = one->accesses[i];
            if (!gml_dim_eval(pool, one->accesses[i].bytes, sizes, &accesses->bytes))
                return false;
            if (accesses->mem < n_inputs)
                accesses->mem += p * n_inputs;
            else
                accesses->mem += step->n_inputs - n_inputs + p * n_outputs;
        }
    }
    step->phases = phase;
    return true;
}

static gml_status add_parts(gml_build_frame *f)
{
    gml_program_builder *b = f->builder;
    gml_kernel *flat = f->pending.items[0].flat;
    const gml_node *first = f->pending.items[0].node;
    gml_step step = gml_frame_begin_step(f, first);
    gml_code code;
    for (size_t i = 0; i < f->pending.count; i++)
        gml_checks_add(&f->checks, f->pending.items[i].node, true);
    step.kind = GML_STEP_KERNEL;
    step.name = gml_arena_printf(&f->program->arena, "%zu x %s", f->pending.count,
                                 gml_frame_kernel_name(f, first));
    explain(f, &step);
    if (b->loops)
        gml_kernel_print(flat, b->loops);
    GML_TRY(gml_codegen_add(b->codegen, flat, 0, &code, b->diags));
    step.parts = make_parts(f, &code);
    if (code.n_phases != 1 || code.n_temporaries != 0 || code.scratch != 0 || !step.parts)
        return gml_fail(b->diags, GML_E_INTERNAL, first->loc,
                        "an update of states needs more than one phase");
    gml_frame_copy_code(f, &code, &step);
    GML_TRY(add_operands(f, &code, &step));
    if (code.phases[0].launch.threads != 0 && !add_costs(f, &code, &step))
        return gml_fail(b->diags, GML_E_INTERNAL, first->loc, "what a part costs is too much");
    const uint64_t *over = gml_frame_find_over(f, flat);
    if (over) {
        uint64_t *all = gml_new_array(&f->program->arena, uint64_t, step.n_outputs);
        for (uint32_t o = 0; o < step.n_outputs; o++)
            all[o] = over[o % flat->outputs.count];
        step.over = all;
    }
    gml_push(&f->program->arena, &f->program->steps, step);
    return GML_OK;
}

gml_status gml_frame_flush(gml_build_frame *f)
{
    const gml_pending_part *first = f->pending.items;
    gml_status status = GML_OK;
    if (f->pending.count > 1)
        status = add_parts(f);
    else if (f->pending.count == 1)
        status = gml_frame_add_kernel(f, first->node, first->kernel, first->numbers);
    f->pending.count = 0;
    return status;
}
