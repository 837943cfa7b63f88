/* api/floor_path.c - the longest chain of kernels that wait for each other.
 *
 * Twice: by values, where a kernel waits for those that make what it reads; and by memory, as
 * the graph of a run has it (runtime/exec_graph.c), where it waits also for a place that is
 * used again. What lies outside of the arena gets addresses behind it: inputs one each, which
 * is also that of the state that replaces one. */
#include "api/floor.h"
#include "runtime/depends.h"
#include "runtime/plan.h"

typedef struct finder {
    const gml_program *program;
    gml_arena *arena;
    uint32_t *input_of; /* by slot: the input that it is, or replaces; else GML_NO_SLOT */
    gml_vec(gml_range) ranges;
} finder;

static bool is_graph(const gml_program *program)
{
    for (size_t s = 0; s < program->steps.count; s++)
        if (program->steps.items[s].kind != GML_STEP_KERNEL)
            return false;
    return program->is_static;
}

static void find_inputs(finder *f)
{
    const gml_program *program = f->program;
    f->input_of = gml_new_array(f->arena, uint32_t, program->slots.count + 1);
    for (uint32_t i = 0; i < program->slots.count; i++)
        f->input_of[i] = program->slots.items[i].kind == GML_SLOT_INPUT ? i : GML_NO_SLOT;
    for (size_t s = 0; s < program->states.count; s++) {
        const gml_program_state *state = &program->states.items[s];
        if (state->input != GML_NO_SLOT && state->output != GML_NO_SLOT &&
            program->slots.items[program->outputs[state->output]].is_state)
            f->input_of[program->outputs[state->output]] = program->inputs[state->input];
    }
}

static void touch(finder *f, uint64_t start, uint64_t bytes, bool is_written)
{
    gml_range range = {start, start + bytes, is_written};
    gml_push(f->arena, &f->ranges, range);
}

/* Constants are never written. */
static void touch_slot(finder *f, uint32_t number, bool is_written)
{
    if (number == GML_NO_SLOT)
        return;
    const gml_slot *slot = &f->program->slots.items[number];
    gml_tensor tensor = {.dtype = slot->dtype, .rank = slot->rank};
    size_t bytes = 0;
    if (f->input_of[number] != GML_NO_SLOT)
        touch(f, f->program->arena_size + f->input_of[number], 1, is_written);
    if (f->input_of[number] != GML_NO_SLOT || slot->kind != GML_SLOT_ARENA)
        return;
    for (int d = 0; d < slot->rank; d++)
        tensor.dims[d] = slot->dims[d];
    if (gml_tensor_bytes(&tensor, &bytes))
        touch(f, slot->offset, bytes, is_written);
}

/* As if each value had a place for itself, which is its number. */
static void touch_values(finder *f, const gml_step *step)
{
    f->ranges.count = 0;
    for (uint32_t i = 0; i < step->n_inputs; i++)
        if (step->inputs[i] != GML_NO_SLOT)
            touch(f, step->inputs[i], 1, false);
    for (uint32_t i = 0; i < step->n_outputs; i++)
        touch(f, step->outputs[i], 1, true);
}

static void touch_memory(finder *f, const gml_step *step)
{
    uint64_t bytes = 0;
    f->ranges.count = 0;
    for (uint32_t i = 0; i < step->n_inputs; i++)
        touch_slot(f, step->inputs[i], false);
    for (uint32_t i = 0; i < step->n_outputs; i++)
        touch_slot(f, step->outputs[i], true);
    for (uint32_t i = 0; i < step->n_temporaries; i++)
        bytes += gml_align_up((uint64_t)step->temporaries[i]);
    touch(f, step->temporaries_offset, bytes, true);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double find_longest(finder *f, void (*touch_step)(finder *, const gml_step *),
                           const gml_floor_work *steps, uint32_t *out_n_waits)
{
    const gml_program *program = f->program;
    double *ends = gml_new_array(f->arena, double, program->steps.count + 1);
    double longest = 0;
    gml_depends depends;
    gml_depends_init(&depends);
    *out_n_waits = 0;
    for (size_t s = 0; s < program->steps.count; s++) {
        uint32_t n = 0;
        touch_step(f, &program->steps.items[s]);
        const uint32_t *after = gml_depends_add(&depends, f->ranges.items, f->ranges.count, &n);
        for (uint32_t i = 0; i < n; i++)
            ends[s] = larger(ends[s], ends[after[i]]);
        ends[s] += gml_floor_seconds(&steps[s]);
        longest = larger(longest, ends[s]);
        *out_n_waits += n;
    }
    gml_depends_reset(&depends);
    return longest;
}

gml_floor_path gml_floor_find_path(const gml_program *program, const gml_floor_work *steps,
                                   gml_arena *arena)
{
    finder f = {.program = program, .arena = arena};
    gml_floor_path path = {0};
    if (!is_graph(program))
        return path;
    find_inputs(&f);
    path.values = find_longest(&f, touch_values, steps, &path.n_waits);
    path.planned = find_longest(&f, touch_memory, steps, &path.n_waits);
    return path;
}
