/* runtime/artifact_read.c - a description to a program.
 *
 * The checksum finds accidents; it does not make an image trustworthy. So everything is checked
 * again while reading, then the whole program by gml_program_check, and places in memory are
 * planned afresh rather than believed. */
#include "runtime/artifact_reader.h"
#include "runtime/plan.h"

#include <string.h>

/* Operators in one size; bounds the recursion over it. */
#define GML_MAX_DIM_SIZE 1024

static gml_program *read_program(gml_reader *r, int depth);

/* ---- Sizes and slots -------------------------------------------------------------------- */

/* The size of an operand of expression `number`, 0 when it is none. */
static uint32_t operand_size(const gml_dim_pool *pool, gml_dim dim, size_t number)
{
    if (gml_dim_is_const(dim))
        return 1;
    return dim < 0 && gml_dim_index(dim) < number ? pool->exprs.items[gml_dim_index(dim)].size
                                                  : 0;
}

/* Kernels know sizes by their number, so the pool is filled as it was, not simplified again. */
static void read_dims(gml_reader *r, gml_dim_pool *pool)
{
    uint32_t count = gml_read_count(r, 8);
    for (size_t i = 0; i < count && r->status == GML_OK; i++) {
        uint32_t op = gml_read_u32(r);
        if (op == GML_DIM_SYMBOL) {
            const char *name = gml_read_name(r);
            if (r->status == GML_OK && gml_dim_index(gml_dim_symbol(pool, name)) != i)
                gml_reader_refuse(r, "a symbol is there twice");
            continue;
        }
        gml_dim_expr expr = {.op = (gml_dim_op)op, .a = gml_read_i64(r), .b = gml_read_i64(r)};
        uint32_t a = operand_size(pool, expr.a, i);
        uint32_t b = operand_size(pool, expr.b, i);
        expr.size = 1 + a + b;
        if (op > GML_DIM_MAX || a == 0 || b == 0 || expr.size > GML_MAX_DIM_SIZE)
            gml_reader_refuse(r, "a size");
        if (r->status == GML_OK)
            gml_push(r->arena, &pool->exprs, expr);
    }
}

static void read_slot(gml_reader *r, gml_slot *slot)
{
    uint32_t kind = gml_read_u32(r);
    uint32_t dtype = gml_read_u32(r);
    int32_t rank = (int32_t)gml_read_u32(r);
    slot->name = gml_read_text(r);
    if (kind > GML_SLOT_VALUE || dtype >= GML_DTYPE_COUNT || rank < GML_NO_RANK ||
        rank > GML_MAX_RANK) {
        gml_reader_refuse(r, "type of a value");
        return;
    }
    slot->kind = (gml_slot_kind)kind;
    slot->dtype = (gml_dtype)dtype;
    slot->rank = rank;
    gml_tensor tensor = {.dtype = slot->dtype, .rank = rank};
    for (int i = 0; i < rank; i++)
        tensor.dims[i] = gml_read_i64(r);
    slot->dims = gml_arena_copy(r->arena, tensor.dims, sizeof tensor.dims);
    if (slot->kind != GML_SLOT_CONSTANT)
        return;
    gml_read_elements(r, &tensor);
    slot->data = tensor.data;
}

/* ---- Steps ------------------------------------------------------------------------------ */

static void read_over(gml_reader *r, gml_step *step)
{
    if (gml_read_u32(r) == 0 || r->status != GML_OK)
        return;
    uint64_t *over = gml_new_array(r->arena, uint64_t, step->n_outputs + 1);
    for (uint32_t i = 0; i < step->n_outputs; i++)
        over[i] = (uint64_t)gml_read_i64(r);
    step->over = over;
}

static void read_parts(gml_reader *r, gml_step *step)
{
    uint32_t count = gml_read_count(r, 8);
    if (count == 0 || r->status != GML_OK)
        return;
    gml_part_sizes *parts = gml_new(r->arena, gml_part_sizes);
    parts->count = count;
    parts->n_sizes = gml_read_count(r, (size_t)count * 8); /* that many for each */
    size_t n_sizes = (size_t)count * parts->n_sizes;
    int64_t *sizes = gml_new_array(r->arena, int64_t, n_sizes + 1);
    int64_t *units = gml_new_array(r->arena, int64_t, count);
    for (size_t i = 0; i < n_sizes; i++)
        sizes[i] = gml_read_i64(r);
    for (uint32_t i = 0; i < count; i++)
        units[i] = gml_read_i64(r);
    parts->sizes = sizes;
    parts->units = units;
    step->parts = parts;
}

static void read_kernel(gml_reader *r, gml_step *step)
{
    read_parts(r, step);
    read_over(r, step);
    step->n_phases = gml_read_count(r, 12);
    gml_phase *phases = gml_new_array(r->arena, gml_phase, step->n_phases);
    for (uint32_t i = 0; i < step->n_phases && r->status == GML_OK; i++) {
        phases[i].symbol = gml_read_name(r);
        phases[i].extent = gml_read_i64(r);
        const gml_artifact_phase *row = gml_map_find(&r->phases, phases[i].symbol);
        if (row != NULL)
            phases[i].run = row->run;
        else if (r->status == GML_OK)
            r->status = gml_fail(r->diags, GML_E_INVALID, r->loc,
                                 "the artifact has no function %s", phases[i].symbol);
    }
    step->phases = phases;
    step->n_temporaries = gml_read_count(r, 8);
    gml_dim *temporaries = gml_new_array(r->arena, gml_dim, step->n_temporaries);
    for (uint32_t i = 0; i < step->n_temporaries; i++)
        temporaries[i] = gml_read_i64(r);
    step->temporaries = temporaries;
    step->scratch = gml_read_i64(r);
    step->flops = gml_read_i64(r);
    step->bytes = gml_read_i64(r);
}

static void read_regions(gml_reader *r, gml_step *step, int depth)
{
    uint32_t count = gml_read_count(r, 8);
    gml_region *regions = gml_new_array(r->arena, gml_region, count);
    step->regions = regions;
    for (uint32_t i = 0; i < count && r->status == GML_OK; i++) {
        regions[i].n_params = gml_read_u32(r);
        regions[i].captures = gml_read_numbers(r, &regions[i].n_captures);
        gml_arena *arena = r->arena;
        regions[i].program = read_program(r, depth + 1);
        r->arena = arena;
        /* Counted once it is there: releasing the program releases it. */
        if (regions[i].program != NULL)
            step->n_regions = i + 1;
    }
}

static void read_dtypes(gml_reader *r, gml_step *step)
{
    if (gml_read_u32(r) == 0 || r->status != GML_OK)
        return;
    gml_dtype *dtypes = gml_new_array(r->arena, gml_dtype, step->n_outputs);
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        uint32_t dtype = gml_read_u32(r);
        if (dtype >= GML_DTYPE_COUNT)
            gml_reader_refuse(r, "type of a result");
        dtypes[i] = (gml_dtype)dtype;
    }
    step->output_dtypes = dtypes;
}

static void read_host(gml_reader *r, gml_step *step, int depth)
{
    step->host_name = gml_read_name(r);
    const gml_artifact_host *row = gml_map_find(&r->hosts, step->host_name);
    if (row != NULL)
        step->host = row->run;
    else if (r->status == GML_OK)
        r->status = gml_fail(r->diags, GML_E_INVALID, r->loc,
                             "the artifact has no host operator %s", step->host_name);
    step->attrs = gml_read_attrs(r, &step->n_attrs);
    read_dtypes(r, step);
    read_regions(r, step, depth);
}

/* `step` is in the program already, so that its regions are released with it. */
static void read_step(gml_reader *r, gml_step *step, int depth)
{
    uint32_t kind = gml_read_u32(r);
    if (kind > GML_STEP_HOST)
        gml_reader_refuse(r, "kind of a step");
    step->kind = (gml_step_kind)kind;
    step->name = gml_read_text(r);
    step->node = gml_read_text(r);
    step->op = gml_read_text(r);
    step->inputs = gml_read_numbers(r, &step->n_inputs);
    step->outputs = gml_read_numbers(r, &step->n_outputs);
    if (r->status != GML_OK)
        return;
    if (step->kind == GML_STEP_KERNEL)
        read_kernel(r, step);
    else
        read_host(r, step, depth);
}

/* ---- Programs --------------------------------------------------------------------------- */

static uint32_t *read_list(gml_reader *r, uint32_t *out_count, const char ***out_names)
{
    const uint32_t *numbers = gml_read_numbers(r, out_count);
    if (gml_read_u32(r) != 0) {
        *out_names = gml_new_array(r->arena, const char *, *out_count);
        for (uint32_t i = 0; i < *out_count && r->status == GML_OK; i++)
            (*out_names)[i] = gml_read_text(r);
    }
    return gml_arena_copy(r->arena, numbers, *out_count * sizeof *numbers);
}

/* gml_program_check looks at the rest. */
static void read_check(gml_reader *r, gml_check *check)
{
    uint32_t relation = gml_read_u32(r);
    if (relation >= GML_RELATION_COUNT)
        gml_reader_refuse(r, "a check of sizes");
    check->relation = (gml_relation)relation;
    check->a = gml_read_i64(r);
    check->b = gml_read_i64(r);
    check->node = gml_read_text(r);
    check->op = gml_read_text(r);
    check->step = gml_read_u32(r);
}

static void read_state(gml_reader *r, const gml_program *program, gml_program_state *state)
{
    state->name = gml_read_name(r);
    state->input = gml_read_u32(r);
    state->output = gml_read_u32(r);
    bool has_initial = gml_read_u32(r) != 0;
    bool is_input = state->input != GML_NO_SLOT;
    uint32_t number = GML_NO_SLOT;
    if (is_input && state->input < program->n_inputs)
        number = program->inputs[state->input];
    else if (!is_input && state->output < program->n_outputs)
        number = program->outputs[state->output];
    bool is_used = is_input || state->output != GML_NO_SLOT;
    if (is_used ? number >= program->slots.count : has_initial)
        gml_reader_refuse(r, "a state");
    if (r->status != GML_OK || !has_initial)
        return;
    const gml_slot *slot = &program->slots.items[number];
    gml_tensor tensor = {.dtype = slot->dtype, .rank = slot->rank};
    if (slot->rank < 0 || slot->dtype == GML_NONE || slot->dtype == GML_STRING)
        gml_reader_refuse(r, "the type of a state");
    for (int i = 0; i < slot->rank; i++)
        tensor.dims[i] = slot->dims[i];
    gml_read_elements(r, &tensor);
    state->initial = tensor.data;
}

static void fill_program(gml_reader *r, gml_program *program, int depth)
{
    read_dims(r, &program->dims);
    uint32_t n_slots = gml_read_count(r, 16);
    for (uint32_t i = 0; i < n_slots && r->status == GML_OK; i++) {
        gml_slot slot = {0};
        read_slot(r, &slot);
        gml_push(r->arena, &program->slots, slot);
    }
    program->inputs = read_list(r, &program->n_inputs, &program->input_names);
    program->outputs = read_list(r, &program->n_outputs, &program->output_names);
    uint32_t n_steps = gml_read_count(r, 24);
    for (uint32_t i = 0; i < n_steps && r->status == GML_OK; i++) {
        gml_push(r->arena, &program->steps, (gml_step){0});
        read_step(r, &program->steps.items[i], depth);
    }
    uint32_t n_states = gml_read_count(r, 16);
    for (uint32_t i = 0; i < n_states && r->status == GML_OK; i++) {
        gml_program_state state = {0};
        read_state(r, program, &state);
        gml_push(r->arena, &program->states, state);
    }
    uint32_t n_checks = gml_read_count(r, 32);
    for (uint32_t i = 0; i < n_checks && r->status == GML_OK; i++) {
        gml_check check = {0};
        read_check(r, &check);
        gml_push(r->arena, &program->checks, check);
    }
}

static gml_program *read_program(gml_reader *r, int depth)
{
    if (depth > GML_MAX_REGION_DEPTH)
        gml_reader_refuse(r, "regions nest too deeply");
    if (r->status != GML_OK)
        return NULL;
    gml_program *program = gml_program_create();
    if (program == NULL) {
        r->status = gml_fail(r->diags, GML_E_MEMORY, r->loc, "no memory for the program");
        return NULL;
    }
    r->arena = &program->arena;
    fill_program(r, program, depth);
    if (r->status == GML_OK)
        r->status = gml_program_plan(program, r->diags);
    if (r->status == GML_OK)
        return program;
    gml_program_release(program);
    return NULL;
}

gml_program *gml_read_program(gml_reader *r)
{
    return read_program(r, 0);
}
