/* runtime/plan.c - first fit by falling size.
 *
 * Large slots are placed first, each at the lowest offset where nothing alive at the same time
 * lies. Liveness counts whole steps, so that a step's results never share memory with its
 * operands. The places already taken are kept in order of offset: one walk over them finds the
 * gap.
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

/* ---- Placement -------------------------------------------------------------------------- */

static int by_falling_size(const void *left, const void *right)
{
    const gml_place *a = left;
    const gml_place *b = right;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return (a->slot > b->slot) - (a->slot < b->slot);
}

/* The lowest free offset for places[next]; order[0..next-1] are those placed, by offset. */
static uint64_t find_gap(const gml_place *places, const uint32_t *order, size_t next)
{
    const gml_place *place = &places[next];
    uint64_t size = gml_align_up(place->size);
    uint64_t free_from = 0;
    for (size_t i = 0; i < next; i++) {
        const gml_place *other = &places[order[i]];
        if (other->first > place->last || other->last < place->first)
            continue;
        if (other->offset >= free_from && other->offset - free_from >= size)
            break;
        uint64_t end = other->offset + gml_align_up(other->size);
        free_from = end > free_from ? end : free_from;
    }
    return free_from;
}

bool gml_place_all(gml_place *places, size_t n_places, uint32_t *order, uint64_t *out_size)
{
    const uint64_t limit = UINT64_C(1) << 62;
    *out_size = 0;
    if (n_places != 0)
        qsort(places, n_places, sizeof *places, by_falling_size);
    for (size_t next = 0; next < n_places; next++) {
        gml_place *place = &places[next];
        if (place->size > limit)
            return false;
        place->offset = find_gap(places, order, next);
        uint64_t end = place->offset + gml_align_up(place->size);
        if (end > limit)
            return false;
        *out_size = end > *out_size ? end : *out_size;
        size_t at = next;
        while (at > 0 && places[order[at - 1]].offset > place->offset)
            at--;
        memmove(order + at + 1, order + at, (next - at) * sizeof *order);
        order[at] = (uint32_t)next;
    }
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
    size_t n_places;
    uint32_t *order;
} planner;

static gml_status collect_places(planner *p, gml_diags *diags)
{
    gml_program *program = p->program;
    program->is_static = true;
    for (uint32_t i = 0; i < program->slots.count; i++) {
        gml_slot *slot = &program->slots.items[i];
        if (slot->kind != GML_SLOT_ARENA)
            continue;
        size_t bytes = 0;
        GML_TRY(constant_bytes(slot, &slot->planned, &bytes, diags));
        program->is_static = program->is_static && slot->planned;
        if (slot->planned && p->live.first[i] != UINT32_MAX)
            p->places[p->n_places++] = (gml_place){
                .size = bytes, .first = p->live.first[i], .last = p->live.last[i], .slot = i};
    }
    return GML_OK;
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

static gml_status add_steps(gml_program *program, gml_diags *diags)
{
    uint64_t most = 0;
    program->scratch_size = 0;
    for (size_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        gml_loc loc = {.node = step->node, .op = step->op};
        uint64_t sum = 0;
        uint64_t scratch = 0;
        for (uint32_t i = 0; i < step->n_temporaries; i++)
            GML_TRY(add_bytes(program, step->temporaries[i], &sum, loc, diags));
        GML_TRY(add_bytes(program, step->scratch, &scratch, loc, diags));
        most = sum > most ? sum : most;
        if (scratch > program->scratch_size)
            program->scratch_size = scratch;
    }
    program->arena_size += most;
    return GML_OK;
}

static gml_status plan(planner *p, gml_diags *diags)
{
    gml_program *program = p->program;
    gml_find_liveness(program, p->live);
    GML_TRY(collect_places(p, diags));
    if (!gml_place_all(p->places, p->n_places, p->order, &program->arena_size))
        return gml_fail(diags, GML_E_SHAPE, (gml_loc){0}, "the values do not fit in memory");
    for (size_t i = 0; i < p->n_places; i++)
        program->slots.items[p->places[i].slot].offset = p->places[i].offset;
    return add_steps(program, diags);
}

gml_status gml_program_plan(gml_program *program, gml_diags *diags)
{
    GML_TRY(gml_program_check(program, diags));
    size_t n = program->slots.count + 1;
    planner p = {.program = program,
                 .live = {malloc(n * sizeof(uint32_t)), malloc(n * sizeof(uint32_t))},
                 .places = malloc(n * sizeof(gml_place)),
                 .order = malloc(n * sizeof(uint32_t))};
    gml_status status = GML_E_MEMORY;
    if (p.live.first != NULL && p.live.last != NULL && p.places != NULL && p.order != NULL)
        status = plan(&p, diags);
    else
        (void)gml_fail(diags, status, (gml_loc){0}, "no memory to plan the program");
    free(p.live.first);
    free(p.live.last);
    free(p.places);
    free(p.order);
    return status;
}
