/* runtime/program.c - a program's life, and the check of what running it relies on. */
#include "runtime/program.h"

#include "runtime/plan.h"

#include <stdlib.h>

gml_program *gml_program_create(void)
{
    gml_program *program = calloc(1, sizeof *program);
    if (program == NULL)
        return NULL;
    program->refs = 1;
    gml_arena_init(&program->arena);
    gml_dim_pool_init(&program->dims, &program->arena);
    return program;
}

gml_program *gml_program_retain(gml_program *program)
{
    __atomic_fetch_add(&program->refs, 1, __ATOMIC_RELAXED);
    return program;
}

void gml_program_release(gml_program *program)
{
    if (program == NULL || __atomic_fetch_sub(&program->refs, 1, __ATOMIC_ACQ_REL) != 1)
        return;
    for (size_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        for (uint32_t r = 0; r < step->n_regions; r++)
            gml_program_release(step->regions[r].program);
    }
    gml_buffer_release(program->constants);
    gml_device_unload(program->code);
    gml_device_release(program->device);
    if (program->release != NULL)
        program->release(program->context);
    gml_arena_reset(&program->arena);
    free(program);
}

/* ---- The check -------------------------------------------------------------------------- */

typedef struct checker {
    const gml_program *program;
    bool *is_set; /* by slot: bound, constant, or written by a step seen so far */
    gml_diags *diags;
    gml_loc loc;
    int depth;
} checker;

static gml_status check_program(const gml_program *program, int depth, gml_diags *diags);

static gml_status refuse(const checker *c, const char *what, size_t number)
{
    return gml_fail(c->diags, GML_E_INVALID, c->loc, "the program is damaged: %s (%zu)", what,
                    number);
}

static bool is_dim(const checker *c, gml_dim dim)
{
    return gml_dim_is_const(dim) ||
           (dim < 0 && gml_dim_index(dim) < c->program->dims.exprs.count);
}

static bool is_set(const checker *c, uint32_t slot)
{
    return slot < c->program->slots.count && c->is_set[slot];
}

static gml_status check_slot(checker *c, size_t number)
{
    const gml_slot *slot = &c->program->slots.items[number];
    bool is_fixed = slot->kind == GML_SLOT_ARENA || slot->kind == GML_SLOT_CONSTANT;
    if ((unsigned)slot->kind > GML_SLOT_VALUE || (unsigned)slot->dtype >= GML_DTYPE_COUNT)
        return refuse(c, "unknown kind of slot", number);
    if (slot->rank < GML_NO_RANK || slot->rank > GML_MAX_RANK)
        return refuse(c, "rank of a slot", number);
    if (is_fixed && (slot->dtype == GML_NONE || slot->rank < 0))
        return refuse(c, "a slot without a type", number);
    if (slot->kind == GML_SLOT_ARENA && slot->dtype == GML_STRING)
        return refuse(c, "a slot of strings in the arena", number);
    for (int i = 0; i < slot->rank; i++) {
        if (!is_dim(c, slot->dims[i]))
            return refuse(c, "size of a slot", number);
        if (slot->kind == GML_SLOT_CONSTANT &&
            (!gml_dim_is_const(slot->dims[i]) || slot->dims[i] < 0))
            return refuse(c, "size of a constant", number);
    }
    c->is_set[number] = slot->kind == GML_SLOT_CONSTANT;
    return GML_OK;
}

static gml_status check_region(checker *c, const gml_region *region)
{
    if (region->program == NULL)
        return refuse(c, "a region without a program", 0);
    if (region->program->device != c->program->device)
        return refuse(c, "a region for another device", 0);
    if ((uint64_t)region->n_params + region->n_captures != region->program->n_inputs)
        return refuse(c, "inputs of a region", region->program->n_inputs);
    for (uint32_t i = 0; i < region->n_captures; i++) {
        if (!is_set(c, region->captures[i]))
            return refuse(c, "a region captures a slot before it is set", region->captures[i]);
    }
    return check_program(region->program, c->depth + 1, c->diags);
}

static gml_status check_parts(checker *c, const gml_step *step)
{
    const gml_part_sizes *parts = step->parts;
    if (parts->count == 0 || step->n_inputs % parts->count != 0 || step->n_outputs == 0 ||
        step->n_outputs % parts->count != 0 || step->n_phases != 1 ||
        step->n_temporaries != 0 || step->scratch != 0)
        return refuse(c, "parts of a kernel", parts->count);
    for (uint32_t i = 0; i < parts->count; i++)
        if (parts->units[i] < 0)
            return refuse(c, "units of a part", i);
    return GML_OK;
}

/* Of memories that the step has, in sizes that the program has. */
static bool are_maps(const checker *c, const gml_step *step, const gml_phase *phase)
{
    for (uint32_t i = 0; i < phase->launch.n_maps; i++) {
        const gml_map_layout *map = &phase->maps[i];
        if (step->parts != NULL || map->rank == 0 || map->rank > GML_MAP_RANK ||
            map->mem >= (uint64_t)step->n_inputs + step->n_outputs + step->n_temporaries ||
            !is_dim(c, map->offset))
            return false;
        for (uint32_t d = 0; d < map->rank; d++)
            if (!is_dim(c, map->extents[d]) || !is_dim(c, map->strides[d]))
                return false;
    }
    return true;
}

static gml_status check_kernel(checker *c, const gml_step *step)
{
    if (step->parts != NULL)
        GML_TRY(check_parts(c, step));
    for (uint32_t i = 0; i < step->n_phases; i++) {
        const gml_phase *phase = &step->phases[i];
        bool is_there =
            c->program->device != NULL ? phase->kernel.launch.threads != 0 : phase->run != NULL;
        if (!is_there || (step->parts == NULL && !is_dim(c, phase->extent)))
            return refuse(c, "a phase", i);
        if (!are_maps(c, step, phase))
            return refuse(c, "tensor maps of a phase", i);
    }
    for (uint32_t i = 0; i < step->n_temporaries; i++) {
        if (!is_dim(c, step->temporaries[i]))
            return refuse(c, "size of a temporary", i);
    }
    if (!is_dim(c, step->scratch) || !is_dim(c, step->flops) || !is_dim(c, step->bytes))
        return refuse(c, "sizes of a kernel", 0);
    for (uint32_t i = 0; i < step->n_inputs; i++) {
        uint32_t slot = step->inputs[i];
        if (slot != GML_NO_SLOT && c->program->slots.items[slot].dtype == GML_NONE)
            return refuse(c, "a kernel reads what is no tensor", slot);
    }
    return GML_OK;
}

static gml_status check_host(checker *c, const gml_step *step)
{
    if (step->host == NULL)
        return refuse(c, "a host operator without a function", 0);
    for (uint32_t i = 0; i < step->n_regions; i++)
        GML_TRY(check_region(c, &step->regions[i]));
    for (uint32_t i = 0; i < step->n_attrs; i++) {
        if (step->attrs[i].kind == GML_ATTR_GRAPH && step->attrs[i].count >= step->n_regions)
            return refuse(c, "number of a region", step->attrs[i].count);
    }
    return GML_OK;
}

static gml_status check_step(checker *c, const gml_step *step)
{
    bool is_kernel = step->kind == GML_STEP_KERNEL;
    c->loc = (gml_loc){.node = step->node, .op = step->op};
    if (!is_kernel && step->kind != GML_STEP_HOST)
        return refuse(c, "kind of a step", (size_t)step->kind);
    for (uint32_t i = 0; i < step->n_inputs; i++) {
        if (step->inputs[i] != GML_NO_SLOT && !is_set(c, step->inputs[i]))
            return refuse(c, "a step reads a slot before it is set", step->inputs[i]);
    }
    GML_TRY(is_kernel ? check_kernel(c, step) : check_host(c, step));
    gml_slot_kind kind = is_kernel ? GML_SLOT_ARENA : GML_SLOT_VALUE;
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        uint32_t slot = step->outputs[i];
        if (slot == GML_NO_SLOT && !is_kernel)
            continue;
        if (slot >= c->program->slots.count || c->program->slots.items[slot].kind != kind ||
            c->is_set[slot])
            return refuse(c, "a step may not write the slot", slot);
        c->is_set[slot] = true;
    }
    return GML_OK;
}

static gml_status check_checks(checker *c)
{
    const gml_program *program = c->program;
    uint32_t last = 0;
    for (size_t i = 0; i < program->checks.count; i++) {
        const gml_check *check = &program->checks.items[i];
        if ((unsigned)check->relation >= GML_RELATION_COUNT || !is_dim(c, check->a) ||
            !is_dim(c, check->b))
            return refuse(c, "a check of sizes", i);
        if (check->step < last ||
            (check->step != GML_NO_STEP && check->step >= program->steps.count))
            return refuse(c, "the step of a check", i);
        last = check->step;
    }
    return GML_OK;
}

/* States are the last inputs and outputs, in their order. */
static gml_status check_states(checker *c)
{
    const gml_program *program = c->program;
    uint32_t n_in = 0;
    uint32_t n_out = 0;
    for (size_t i = 0; i < program->states.count; i++) {
        n_in += program->states.items[i].input != GML_NO_SLOT;
        n_out += program->states.items[i].output != GML_NO_SLOT;
    }
    if (n_in > program->n_inputs || n_out > program->n_outputs)
        return refuse(c, "number of states", program->states.count);
    for (size_t i = 0; i < program->states.count; i++) {
        const gml_program_state *state = &program->states.items[i];
        if (state->name == NULL)
            return refuse(c, "a state without a name", i);
        if (state->input != GML_NO_SLOT &&
            (state->input >= program->n_inputs || state->input < program->n_inputs - n_in))
            return refuse(c, "input of a state", state->input);
        if (state->output != GML_NO_SLOT &&
            (state->output >= program->n_outputs || state->output < program->n_outputs - n_out))
            return refuse(c, "output of a state", state->output);
    }
    return GML_OK;
}

static gml_status check_all(checker *c)
{
    const gml_program *program = c->program;
    for (size_t i = 0; i < program->slots.count; i++)
        GML_TRY(check_slot(c, i));
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        uint32_t slot = program->inputs[i];
        if (slot >= program->slots.count || c->is_set[slot] ||
            program->slots.items[slot].kind != GML_SLOT_INPUT)
            return refuse(c, "slot of an input", slot);
        c->is_set[slot] = true;
    }
    for (size_t i = 0; i < program->steps.count; i++)
        GML_TRY(check_step(c, &program->steps.items[i]));
    c->loc = (gml_loc){0};
    GML_TRY(check_checks(c));
    GML_TRY(check_states(c));
    for (uint32_t i = 0; i < program->n_outputs; i++) {
        if (!is_set(c, program->outputs[i]))
            return refuse(c, "slot of an output", program->outputs[i]);
    }
    return GML_OK;
}

static gml_status check_program(const gml_program *program, int depth, gml_diags *diags)
{
    checker c = {.program = program, .diags = diags, .depth = depth};
    if (depth > GML_MAX_REGION_DEPTH)
        return gml_fail(diags, GML_E_UNSUPPORTED, c.loc, "regions nest more than %d deep",
                        GML_MAX_REGION_DEPTH);
    c.is_set = calloc(program->slots.count + 1, sizeof *c.is_set);
    if (c.is_set == NULL)
        return gml_fail(diags, GML_E_MEMORY, c.loc, "no memory to check the program");
    gml_status status = check_all(&c);
    free(c.is_set);
    return status;
}

gml_status gml_program_check(const gml_program *program, gml_diags *diags)
{
    return check_program(program, 0, diags);
}
