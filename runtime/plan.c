/* runtime/plan.c - which values share a place, and for how long it is taken.
 *
 * Liveness counts whole steps, so that a step's results share no memory with its operands but
 * where a result may be computed over one: the two are one place then, which lives as long as
 * both. What a step needs for itself has places that live as long as the step.
 */
#include "runtime/plan.h"

#include <stdlib.h>
#include <string.h>

/* ---- Liveness --------------------------------------------------------------------------- */

static void use(gml_liveness live, const uint32_t *slots, uint32_t count, uint32_t step)
{
    for (uint32_t i = 0; i < count; i++) {
        if (slots[i] != GML_NO_SLOT)
            live.last[slots[i]] = step;
    }
}

void gml_find_liveness(const gml_program *program, gml_liveness live)
{
    for (size_t i = 0; i < program->slots.count; i++) {
        live.first[i] = UINT32_MAX;
        live.last[i] = 0;
    }
    for (uint32_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        use(live, step->inputs, step->n_inputs, s);
        for (uint32_t r = 0; r < step->n_regions; r++)
            use(live, step->regions[r].captures, step->regions[r].n_captures, s);
        use(live, step->outputs, step->n_outputs, s);
        for (uint32_t i = 0; i < step->n_outputs; i++) {
            if (step->outputs[i] != GML_NO_SLOT)
                live.first[step->outputs[i]] = s;
        }
    }
    use(live, program->outputs, program->n_outputs, (uint32_t)program->steps.count);
}

bool gml_may_lie_over(const gml_step *step, uint32_t output, uint32_t input)
{
    uint32_t n_parts = step->parts != NULL ? step->parts->count : 1;
    uint32_t part = output / (step->n_outputs / n_parts);
    uint32_t bit = input - part * (step->n_inputs / n_parts); /* huge: another part's */
    if (step->over == NULL || bit >= 64 || bit >= step->n_inputs / n_parts ||
        (step->over[output] >> bit & 1) == 0)
        return false;
    for (uint32_t i = 0; i < step->n_inputs; i++)
        if (i != input && step->inputs[i] == step->inputs[input])
            return false;
    return true;
}

/* ---- The plan of a program -------------------------------------------------------------- */

static gml_status constant_bytes(const gml_slot *slot, bool *out_is_constant, size_t *out_bytes,
                                 gml_diags *diags)
{
    gml_tensor tensor = {.dtype = slot->dtype, .rank = slot->rank};
    *out_is_constant = false;
    for (int i = 0; i < slot->rank; i++) {
        if (!gml_dim_is_const(slot->dims[i]))
            return GML_OK;
        tensor.dims[i] = slot->dims[i];
    }
    *out_is_constant = true;
    if (!gml_tensor_bytes(&tensor, out_bytes))
        return gml_fail(diags, GML_E_SHAPE, (gml_loc){0},
                        "value %s has a negative size, or one that does not fit",
                        slot->name != NULL ? slot->name : "without a name");
    return GML_OK;
}

typedef struct planner {
    gml_program *program;
    gml_liveness live;
    gml_place *places;
    gml_place *placed; /* by the end */
    size_t n_places;
    uint32_t *order;
    uint32_t *place_of; /* by slot: its place + 1; 0: none */
    uint32_t *work_of;  /* by step: its temporaries' place + 1 */
} planner;

static bool is_output_once(const gml_program *program, uint32_t slot)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < program->n_outputs; i++)
        n += program->outputs[i] == slot;
    return n == 1;
}

/* The old value is not read any more when the new one is written, or only as it is replaced. */
static bool can_replace(const planner *p, uint32_t old, uint32_t new)
{
    const gml_program *program = p->program;
    uint32_t born = p->live.first[new];
    if (born == UINT32_MAX || !is_output_once(program, new) || is_output_once(program, old))
        return false;
    if (p->live.last[old] != born)
        return p->live.last[old] < born;
    const gml_step *step = &program->steps.items[born];
    for (uint32_t o = 0; o < step->n_outputs; o++)
        for (uint32_t i = 0; i < step->n_inputs && step->outputs[o] == new; i++)
            if (step->inputs[i] == old)
                return gml_may_lie_over(step, o, i);
    return true; /* nobody reads it at all */
}

static void find_states(planner *p)
{
    gml_program *program = p->program;
    for (size_t s = 0; s < program->states.count; s++) {
        const gml_program_state *state = &program->states.items[s];
        if (state->input == GML_NO_SLOT || state->output == GML_NO_SLOT)
            continue;
        uint32_t slot = program->outputs[state->output];
        program->slots.items[slot].is_state =
            program->slots.items[slot].kind == GML_SLOT_ARENA &&
            can_replace(p, program->inputs[state->input], slot);
    }
}

static gml_status collect_place(planner *p, uint32_t number, uint32_t born, gml_diags *diags)
{
    gml_slot *slot = &p->program->slots.items[number];
    size_t bytes = 0;
    GML_TRY(constant_bytes(slot, &slot->planned, &bytes, diags));
    p->program->is_static = p->program->is_static && slot->planned;
    if (!slot->planned || slot->is_state || born == UINT32_MAX)
        return GML_OK;
    p->places[p->n_places++] =
        (gml_place){.size = bytes, .first = born, .last = p->live.last[number], .slot = number};
    p->place_of[number] = (uint32_t)p->n_places;
    return GML_OK;
}

/* Gives output `o` of step `number` the place of an operand that dies there. */
static void lie_over(planner *p, uint32_t number, uint32_t o)
{
    const gml_step *step = &p->program->steps.items[number];
    gml_place *own = &p->places[p->place_of[step->outputs[o]] - 1];
    for (uint32_t i = 0; i < step->n_inputs; i++) {
        uint32_t slot = step->inputs[i];
        if (slot == GML_NO_SLOT || p->place_of[slot] == 0 || !gml_may_lie_over(step, o, i))
            continue;
        gml_place *place = &p->places[p->place_of[slot] - 1];
        if (place->last != number || place->size != own->size)
            continue; /* read again, or taken by another output */
        place->last = own->last;
        p->place_of[step->outputs[o]] = p->place_of[slot];
        p->n_places--; /* `own` is the newest */
        return;
    }
}

/* Places are made in the order of steps, so that a place has its operands' before it. */
static gml_status collect_places(planner *p, gml_diags *diags)
{
    gml_program *program = p->program;
    program->is_static = true;
    for (uint32_t i = 0; i < program->slots.count; i++)
        if (program->slots.items[i].kind == GML_SLOT_ARENA && p->live.first[i] == UINT32_MAX)
            GML_TRY(collect_place(p, i, UINT32_MAX, diags));
    for (uint32_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        for (uint32_t o = 0; o < step->n_outputs; o++) {
            uint32_t slot = step->outputs[o];
            if (slot == GML_NO_SLOT || program->slots.items[slot].kind != GML_SLOT_ARENA)
                continue;
            GML_TRY(collect_place(p, slot, s, diags));
            if (p->place_of[slot] != 0)
                lie_over(p, s, o);
        }
    }
    return GML_OK;
}

/* A place of `bytes` for step `number` alone. */
static void add_work(planner *p, uint64_t bytes, uint32_t number)
{
    if (bytes != 0)
        p->places[p->n_places++] = (gml_place){.size = bytes, .first = number, .last = number};
}

/* Adds `dim` bytes; a size that is not constant makes the program dynamic. */
static gml_status add_bytes(gml_program *program, gml_dim dim, uint64_t *sum, gml_loc loc,
                            gml_diags *diags)
{
    if (!gml_dim_is_const(dim)) {
        program->is_static = false;
        return GML_OK;
    }
    if (dim < 0)
        return gml_fail(diags, GML_E_SHAPE, loc, "a temporary has a negative size");
    *sum += gml_align_up((uint64_t)dim);
    if (*sum > (uint64_t)GML_DIM_LIMIT)
        return gml_fail(diags, GML_E_SHAPE, loc, "the temporaries do not fit");
    return GML_OK;
}

/* Temporaries, and scratch as one thread needs it. */
static gml_status collect_work(planner *p, gml_diags *diags)
{
    gml_program *program = p->program;
    program->scratch_size = 0;
    for (uint32_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        gml_loc loc = {.node = step->node, .op = step->op};
        uint64_t sum = 0;
        uint64_t scratch = 0;
        for (uint32_t i = 0; i < step->n_temporaries; i++)
            GML_TRY(add_bytes(program, step->temporaries[i], &sum, loc, diags));
        GML_TRY(add_bytes(program, step->scratch, &scratch, loc, diags));
        add_work(p, sum, s);
        p->work_of[s] = sum != 0 ? (uint32_t)p->n_places : 0;
        add_work(p, scratch, s);
        if (scratch > program->scratch_size)
            program->scratch_size = scratch;
    }
    return GML_OK;
}

static gml_status plan(planner *p, gml_diags *diags)
{
    gml_program *program = p->program;
    gml_find_liveness(program, p->live);
    find_states(p);
    GML_TRY(collect_places(p, diags));
    GML_TRY(collect_work(p, diags));
    for (size_t i = 0; i < p->n_places; i++)
        p->places[i].slot = (uint32_t)i; /* sorting moves them */
    if (!gml_place_best(p->places, p->n_places, p->order, p->placed, &program->arena_size))
        return gml_fail(diags, GML_E_SHAPE, (gml_loc){0}, "the values do not fit in memory");
    if (program->device != NULL && program->is_static)
        gml_place_beside(&(gml_place_users){program, p->place_of, p->work_of}, p->placed,
                         p->n_places, program->arena_size);
    for (uint32_t i = 0; i < p->n_places; i++)
        p->order[p->placed[i].slot] = i;
    for (uint32_t i = 0; i < program->slots.count; i++)
        if (p->place_of[i] != 0)
            program->slots.items[i].offset = p->placed[p->order[p->place_of[i] - 1]].offset;
    for (uint32_t s = 0; s < program->steps.count; s++)
        if (p->work_of[s] != 0)
            program->steps.items[s].temporaries_offset =
                p->placed[p->order[p->work_of[s] - 1]].offset;
    return GML_OK;
}

gml_status gml_program_plan(gml_program *program, gml_diags *diags)
{
    GML_TRY(gml_program_check(program, diags));
    size_t n = program->slots.count + 2 * program->steps.count + 1;
    planner p = {.program = program,
                 .live = {malloc(n * sizeof(uint32_t)), malloc(n * sizeof(uint32_t))},
                 .places = malloc(n * sizeof(gml_place)),
                 .placed = malloc(n * sizeof(gml_place)),
                 .order = malloc(n * sizeof(uint32_t)),
                 .place_of = calloc(n, sizeof(uint32_t)),
                 .work_of = calloc(n, sizeof(uint32_t))};
    gml_status status = GML_E_MEMORY;
    if (p.live.first != NULL && p.live.last != NULL && p.places != NULL && p.placed != NULL &&
        p.order != NULL && p.place_of != NULL && p.work_of != NULL)
        status = plan(&p, diags);
    else
        (void)gml_fail(diags, status, (gml_loc){0}, "no memory to plan the program");
    free(p.live.first);
    free(p.live.last);
    free(p.places);
    free(p.placed);
    free(p.order);
    free(p.place_of);
    free(p.work_of);
    return status;
}
