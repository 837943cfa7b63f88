/* runtime/exec.c - an instance's life, and a run from its first step to its last. */
#define _POSIX_C_SOURCE 200809L

#include "runtime/instance.h"

#include <stdalign.h>
#include <time.h>

/* Kernels that move and compute less than this, in bytes and operations, run on the caller
 * alone: waking another thread takes longer. */
#define GML_SMALL_WORK 32768

/* ---- Tables ----------------------------------------------------------------------------- */

typedef struct counts {
    size_t mems, args, shapes, regions, jobs;
    size_t maps, phase_maps; /* of all phases, and of one */
} counts;

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static counts count_all(const gml_program *program)
{
    counts n = {.jobs = 1};
    for (size_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        size_t args = (size_t)step->n_inputs + step->n_outputs;
        n.mems = larger(n.mems, args + step->n_temporaries);
        n.args = larger(n.args, args);
        n.shapes = larger(n.shapes, step->n_outputs);
        n.jobs = larger(n.jobs, step->parts != NULL ? step->parts->count : 1);
        n.regions += step->n_regions;
        for (uint32_t i = 0; i < step->n_phases; i++) {
            n.maps += step->phases[i].launch.n_maps;
            n.phase_maps = larger(n.phase_maps, step->phases[i].launch.n_maps);
        }
    }
    return n;
}

/* Hands out the tables one after the other; with a NULL base it only adds up their sizes. */
typedef struct layout {
    char *base;
    size_t size;
} layout;

static void *take(layout *l, size_t count, size_t size)
{
    size_t at = l->size;
    l->size = at + (count * size + alignof(max_align_t) - 1) / alignof(max_align_t) *
                       alignof(max_align_t);
    return l->base != NULL ? l->base + at : NULL;
}

#define GML_TAKE(l, field, count) ((field) = take((l), (count), sizeof *(field)))

static void lay_out(gml_instance *instance, layout *l)
{
    const gml_program *program = instance->program;
    size_t n_slots = program->slots.count;
    size_t n_steps = program->steps.count;
    size_t n_exprs = program->dims.exprs.count;
    size_t n_inherited = instance->outer != NULL ? program->dims.symbols.count : 0;
    counts n = count_all(program);
    (void)take(l, 1, sizeof(gml_instance));
    GML_TAKE(l, instance->addresses, n_slots);
    GML_TAKE(l, instance->values, n_slots);
    GML_TAKE(l, instance->is_direct, n_slots);
    GML_TAKE(l, instance->is_placed, n_slots);
    GML_TAKE(l, instance->offsets, n_slots);
    GML_TAKE(l, instance->live.first, n_slots);
    GML_TAKE(l, instance->live.last, n_slots);
    GML_TAKE(l, instance->death_start, n_steps + 2);
    GML_TAKE(l, instance->deaths, n_slots);
    GML_TAKE(l, instance->first_region, n_steps);
    GML_TAKE(l, instance->works, n_steps);
    GML_TAKE(l, instance->dims, n_exprs);
    GML_TAKE(l, instance->known, n_exprs);
    GML_TAKE(l, instance->inherited, n_inherited);
    GML_TAKE(l, instance->bound, (size_t)program->n_inputs * (GML_MAX_RANK + 1));
    GML_TAKE(l, instance->places, n_slots + 2);
    GML_TAKE(l, instance->order, program->is_static ? 0 : n_slots);
    size_t n_copied = program->device != NULL ? n_slots : 0;
    GML_TAKE(l, instance->here, n_copied);
    GML_TAKE(l, instance->there, n_copied);
    GML_TAKE(l, instance->tables_of_parts, program->device != NULL ? n_steps : 0);
    GML_TAKE(l, instance->last_addresses,
             program->device != NULL ? (size_t)program->n_inputs + program->n_outputs : 0);
    GML_TAKE(l, instance->maps, n.maps);
    GML_TAKE(l, instance->first_map, program->device != NULL ? n_steps : 0);
    GML_TAKE(l, instance->params, program->device != NULL ? n.mems + 2 + n.phase_maps : 0);
    GML_TAKE(l, instance->mems, n.mems);
    GML_TAKE(l, instance->jobs, n.jobs);
    GML_TAKE(l, instance->args, n.args);
    GML_TAKE(l, instance->shapes, n.shapes);
    GML_TAKE(l, instance->results, program->n_outputs);
    GML_TAKE(l, instance->in_place, program->n_outputs);
    instance->regions = take(l, n.regions, sizeof(gml_instance *));
    GML_TAKE(l, instance->region_args, instance->outer != NULL ? program->n_inputs : 0);
    instance->n_regions = n.regions;
}

/* ---- Life ------------------------------------------------------------------------------- */

/* Slots whose value is to be given up after their last reader. */
static bool must_die(const gml_instance *instance, uint32_t slot)
{
    const gml_program *program = instance->program;
    gml_slot_kind kind = program->slots.items[slot].kind;
    bool is_owned =
        instance->outer != NULL && instance->live.last[slot] == program->steps.count;
    return kind == GML_SLOT_VALUE ||
           (kind == GML_SLOT_ARENA &&
            (!program->is_static || is_owned || program->slots.items[slot].is_state ||
             instance->keeps_apart));
}

static void find_deaths(gml_instance *instance)
{
    const gml_program *program = instance->program;
    uint32_t *start = instance->death_start;
    for (uint32_t i = 0; i < program->slots.count; i++) {
        if (must_die(instance, i))
            start[instance->live.last[i] + 1]++;
    }
    for (size_t s = 0; s <= program->steps.count; s++)
        start[s + 1] += start[s];
    /* Filling moves each start to where the next step's begin; then all move one step on. */
    for (uint32_t i = 0; i < program->slots.count; i++) {
        if (must_die(instance, i))
            instance->deaths[start[instance->live.last[i]]++] = i;
    }
    for (size_t s = program->steps.count + 1; s > 0; s--)
        start[s] = start[s - 1];
    start[0] = 0;
}

/* Symbols that a program around has under the same name. */
static void find_inherited(gml_instance *instance)
{
    const gml_dim_pool *pool = &instance->program->dims;
    for (uint32_t i = 0; i < pool->exprs.count; i++) {
        if (pool->exprs.items[i].op != GML_DIM_SYMBOL)
            continue;
        for (const gml_instance *outer = instance->outer; outer != NULL; outer = outer->outer) {
            uintptr_t number = (uintptr_t)gml_map_find(&outer->program->dims.symbols,
                                                       pool->exprs.items[i].name);
            if (number == 0)
                continue;
            instance->inherited[instance->n_inherited++] =
                (gml_inherited){.symbol = i,
                                .value = &outer->dims[number - 1],
                                .known = &outer->known[number - 1]};
            break;
        }
    }
}

static gml_status set_up(gml_instance *instance, gml_diags *diags)
{
    const gml_program *program = instance->program;
    instance->marker = gml_buffer_create(0, false);
    if (instance->marker == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for an instance");
    instance->keeps_apart = program->device != NULL && gml_device_keeps_apart(program->device);
    gml_find_liveness(program, instance->live);
    find_deaths(instance);
    if (instance->outer != NULL)
        find_inherited(instance);
    uint32_t n_regions = 0;
    uint32_t n_maps = 0;
    for (size_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        instance->first_region[s] = n_regions;
        n_regions += step->n_regions;
        if (program->device != NULL)
            instance->first_map[s] = n_maps;
        for (uint32_t i = 0; i < step->n_phases; i++)
            n_maps += step->phases[i].launch.n_maps;
    }
    for (size_t i = 0; i < program->slots.count; i++) {
        const gml_slot *slot = &program->slots.items[i];
        if (slot->kind == GML_SLOT_CONSTANT)
            instance->addresses[i] = gml_unconst(slot->data);
    }
    if (program->device != NULL)
        GML_TRY(gml_instance_open_device(instance, diags));
    return program->is_static ? gml_instance_place(instance, diags) : GML_OK;
}

static gml_status create(gml_instance *shape, gml_instance **out_instance, gml_diags *diags)
{
    layout l = {0};
    *out_instance = NULL;
    lay_out(shape, &l);
    gml_buffer *tables = gml_buffer_create(l.size, true);
    if (tables == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for an instance");
    l = (layout){.base = gml_buffer_data(tables)};
    gml_instance *instance = gml_buffer_data(tables);
    *instance = *shape;
    lay_out(instance, &l);
    instance->tables = tables;
    (void)gml_program_retain(instance->program);
    gml_status status = set_up(instance, diags);
    if (status == GML_OK)
        *out_instance = instance;
    else
        gml_instance_destroy(instance);
    return status;
}

gml_status gml_instance_create(gml_program *program, gml_pool *pool,
                               gml_instance **out_instance, gml_diags *diags)
{
    *out_instance = NULL;
    GML_TRY(gml_program_check(program, diags));
    gml_instance shape = {.program = program, .pool = pool};
    return create(&shape, out_instance, diags);
}

gml_status gml_instance_create_inner(gml_program *program, const gml_instance *outer,
                                     gml_instance **out_instance, gml_diags *diags)
{
    gml_instance shape = {
        .program = program, .pool = outer->pool, .outer = outer, .depth = outer->depth + 1};
    return create(&shape, out_instance, diags);
}

static void clear_values(gml_instance *instance, uint32_t begin, uint32_t end)
{
    for (uint32_t i = begin; i < end; i++) {
        uint32_t slot = instance->deaths[i];
        gml_rvalue_reset(&instance->values[slot]);
        instance->addresses[slot] = NULL;
    }
}

void gml_instance_destroy(gml_instance *instance)
{
    if (instance == NULL)
        return;
    for (size_t i = 0; i < instance->n_regions; i++)
        gml_instance_destroy(instance->regions[i]);
    if (instance->program->device != NULL)
        gml_instance_close_device(instance);
    gml_buffer_release(instance->marker);
    gml_buffer_release(instance->arena);
    gml_buffer_release(instance->workspace);
    gml_program_release(instance->program);
    gml_buffer_release(instance->tables);
}

void gml_instance_watch(gml_instance *instance, gml_step_watch watch, gml_value_watch values,
                        void *context)
{
    instance->watch = watch;
    instance->watch_values = values;
    instance->watch_context = context;
}

size_t gml_instance_memory(const gml_instance *instance)
{
    size_t bytes = 0;
    if (instance->arena != NULL)
        bytes += gml_buffer_size(instance->arena);
    if (instance->workspace != NULL)
        bytes += gml_buffer_size(instance->workspace);
    for (size_t i = 0; i < instance->n_regions; i++) {
        if (instance->regions[i] != NULL)
            bytes += gml_instance_memory(instance->regions[i]);
    }
    return bytes;
}

/* ---- Steps ------------------------------------------------------------------------------ */

gml_rvalue gml_instance_view(const gml_instance *instance, uint32_t slot)
{
    const gml_slot *s = &instance->program->slots.items[slot];
    if (s->kind == GML_SLOT_INPUT || s->kind == GML_SLOT_VALUE ||
        instance->values[slot].kind != GML_RVALUE_NONE)
        return instance->values[slot];
    gml_rvalue view = {.kind = GML_RVALUE_TENSOR};
    (void)gml_instance_shape(instance, slot, &view.tensor);
    view.tensor.data = instance->addresses[slot];
    if (s->kind == GML_SLOT_ARENA)
        view.buffer = instance->remote != NULL ? instance->remote : instance->marker;
    return view;
}

static bool is_small(const gml_instance *instance, const gml_step *step)
{
    int64_t flops = 0;
    int64_t bytes = 0;
    return gml_instance_dim(instance, step->flops, &flops) &&
           gml_instance_dim(instance, step->bytes, &bytes) && (flops > 0 || bytes > 0) &&
           flops < GML_SMALL_WORK && bytes < GML_SMALL_WORK;
}

/* One part's job after the other, or the program's. */
static gml_status find_jobs(gml_instance *instance, const gml_step *step, uint32_t phase,
                            uint32_t *out_n, gml_diags *diags)
{
    const gml_part_sizes *parts = step->parts;
    gml_job *job = instance->jobs;
    *out_n = parts != NULL ? parts->count : 1;
    for (uint32_t i = 0; parts != NULL && i < parts->count; i++)
        job[i] = (gml_job){.mems = instance->mems +
                                   gml_input_place(step, i * step->n_inputs / parts->count),
                           .dims = parts->sizes + (size_t)i * parts->n_sizes,
                           .extent = parts->units[i]};
    if (parts != NULL)
        return GML_OK;
    *job = (gml_job){.mems = instance->mems, .dims = instance->dims};
    if (!gml_instance_dim(instance, step->phases[phase].extent, &job->extent))
        return gml_fail(diags, GML_E_INTERNAL, gml_step_loc(step),
                        "the extent of phase %u is not known", phase);
    return GML_OK;
}

static gml_status run_phases(gml_instance *instance, const gml_step *step, char *scratch,
                             size_t scratch_size, gml_diags *diags)
{
    gml_pool *pool = is_small(instance, step) ? NULL : instance->pool;
    for (uint32_t i = 0; i < step->n_phases; i++) {
        gml_phase_fn run = step->phases[i].run;
        uint32_t n_jobs = 0;
        GML_TRY(find_jobs(instance, step, i, &n_jobs, diags));
        if (pool != NULL)
            gml_pool_run(pool, run, instance->jobs, n_jobs, scratch, scratch_size);
        for (uint32_t k = 0; pool == NULL && k < n_jobs; k++) {
            const gml_job *job = &instance->jobs[k];
            if (job->extent > 0)
                run(job->mems, job->dims, 0, job->extent, scratch);
        }
    }
    return GML_OK;
}

/* True when no result has an element. The loops of such a kernel may still be long: over 2^40
 * rows of none. */
bool gml_instance_makes_nothing(const gml_instance *instance, const gml_step *step)
{
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        const gml_slot *slot = &instance->program->slots.items[step->outputs[i]];
        bool is_empty = false;
        for (int d = 0; d < slot->rank; d++) {
            int64_t size = 1;
            is_empty |= gml_instance_dim(instance, slot->dims[d], &size) && size == 0;
        }
        if (!is_empty)
            return false;
    }
    return true;
}

static gml_status run_kernel(gml_instance *instance, const gml_step *step, gml_diags *diags)
{
    gml_loc loc = gml_step_loc(step);
    void **mems = instance->mems;
    for (uint32_t i = 0; i < step->n_inputs; i++) {
        uint32_t slot = step->inputs[i];
        mems[gml_input_place(step, i)] = slot != GML_NO_SLOT ? instance->addresses[slot] : NULL;
        if (slot == GML_NO_SLOT || instance->program->slots.items[slot].kind != GML_SLOT_VALUE)
            continue;
        if (instance->values[slot].kind != GML_RVALUE_TENSOR)
            return gml_fail(diags, GML_E_TYPE, loc, "operand %u is no tensor", i);
    }
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        GML_TRY(gml_instance_ready(instance, step->outputs[i], loc, diags));
        mems[gml_output_place(step, i)] = instance->addresses[step->outputs[i]];
    }
    char *scratch = NULL;
    size_t scratch_size = 0;
    if (gml_instance_makes_nothing(instance, step))
        return GML_OK;
    GML_TRY(gml_instance_workspace(instance, step, mems + step->n_inputs + step->n_outputs,
                                   &scratch, &scratch_size, diags));
    return run_phases(instance, step, scratch, scratch_size, diags);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static gml_status show_values(gml_instance *instance, uint32_t number, gml_diags *diags)
{
    const gml_step *step = &instance->program->steps.items[number];
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        if (step->outputs[i] == GML_NO_SLOT)
            continue;
        gml_rvalue view;
        GML_TRY(gml_instance_here(instance, step->outputs[i], &view, diags));
        size_t n_diags = diags->list.count;
        gml_status status = instance->watch_values(instance->watch_context, instance->program,
                                                   number, step->outputs[i], &view);
        if (status != GML_OK && diags->list.count == n_diags)
            (void)gml_fail(diags, status, gml_step_loc(step), "stopped by the watch");
        GML_TRY(status);
    }
    return GML_OK;
}

static gml_status run_step(gml_instance *instance, uint32_t number, gml_diags *diags)
{
    const gml_step *step = &instance->program->steps.items[number];
    uint64_t start = instance->watch != NULL ? now_ns() : 0;
    if (step->kind == GML_STEP_KERNEL && instance->has_open)
        GML_TRY(gml_instance_check_step(instance, number, diags));
    bool is_launched = step->kind == GML_STEP_KERNEL && instance->program->device != NULL;
    if (is_launched)
        GML_TRY(gml_instance_launch(instance, step, diags));
    else if (step->kind == GML_STEP_KERNEL)
        GML_TRY(run_kernel(instance, step, diags));
    else
        GML_TRY(gml_instance_run_host(instance, number, diags));
    if (instance->watch != NULL)
        instance->watch(instance->watch_context, instance->program, number,
                        is_launched ? instance->launched : now_ns() - start);
    if (instance->watch_values != NULL)
        GML_TRY(show_values(instance, number, diags));
    clear_values(instance, instance->death_start[number], instance->death_start[number + 1]);
    return GML_OK;
}

static gml_status run_all(gml_instance *instance, const gml_rvalue *inputs, size_t n_inputs,
                          gml_rvalue *outputs, gml_diags *diags)
{
    const gml_program *program = instance->program;
    bool has_changed = false;
    GML_TRY(gml_instance_bind(instance, inputs, n_inputs, &has_changed, diags));
    if (has_changed && !program->is_static) {
        gml_status status = gml_instance_place(instance, diags);
        instance->is_bound = status == GML_OK;
        GML_TRY(status);
    }
    if (program->device != NULL)
        GML_TRY(gml_instance_send_inputs(instance, diags));
    gml_instance_direct(instance, outputs);
    instance->next_check = 0;
    bool is_done = false;
    if (program->device != NULL)
        GML_TRY(gml_instance_run_graph(instance, &is_done, diags));
    for (uint32_t s = 0; s < program->steps.count && !is_done; s++)
        GML_TRY(run_step(instance, s, diags));
    GML_TRY(gml_instance_finish(instance, outputs, diags));
    return program->device != NULL && instance->outer == NULL
               ? gml_device_wait(program->device, diags)
               : GML_OK;
}

gml_status gml_instance_run(gml_instance *instance, const gml_rvalue *inputs, size_t n_inputs,
                            gml_rvalue *outputs, size_t n_outputs, gml_diags *diags)
{
    const gml_program *program = instance->program;
    if (n_outputs != program->n_outputs)
        return gml_fail(diags, GML_E_INVALID, (gml_loc){0},
                        "%zu outputs where the program has %u", n_outputs, program->n_outputs);
    gml_status status = run_all(instance, inputs, n_inputs, outputs, diags);
    /* What outlives its run has its own reference. */
    clear_values(instance, 0, instance->death_start[program->steps.count + 1]);
    return status;
}
