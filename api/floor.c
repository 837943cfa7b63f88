/* api/floor.c - how fast a program could be on a GPU. */
#include "api/floor.h"

#include <stdlib.h>
#include <string.h>

/* Measured, not of a data sheet: large copies, a product of 8192 x 8192 x 8192 in bf16, and
 * multiply-adds in f32. */
static const gml_ceilings gpus[] = {
    {"h100", 3.0e12, 790e12, 67e12},
    {"h200", 4.3e12, 790e12, 67e12},
};

const gml_ceilings *gml_ceilings_find(const char *name)
{
    for (size_t i = 0; i < sizeof gpus / sizeof *gpus; i++)
        if (strcmp(gpus[i].name, name) == 0)
            return &gpus[i];
    return NULL;
}

double gml_floor_seconds(const gml_floor_work *work)
{
    double seconds = 0;
    for (int i = 0; i < GML_BOUND_COUNT; i++)
        seconds += work->seconds[i];
    return seconds;
}

gml_bound gml_floor_bound(const gml_floor_work *work)
{
    gml_bound most = GML_BOUND_MEMORY;
    for (int i = 0; i < GML_BOUND_COUNT; i++)
        if (work->seconds[i] > work->seconds[most])
            most = (gml_bound)i;
    return most;
}

void gml_floor_add(gml_floor_work *to, const gml_floor_work *work)
{
    to->bytes += work->bytes;
    to->mma += work->mma;
    to->flops += work->flops;
    to->n_launches += work->n_launches;
    for (int i = 0; i < GML_BOUND_COUNT; i++)
        to->seconds[i] += work->seconds[i];
}

gml_floor_work gml_floor_phase_work(const gml_floor_model *model, uint32_t number)
{
    const gml_floor_phase *phase = &model->phases.items[number];
    gml_floor_work work = {.mma = phase->mma, .flops = phase->flops, .n_launches = 1};
    for (uint32_t i = 0; i < phase->n; i++)
        work.bytes += model->traffic.items[phase->first + i].bytes;
    double seconds[GML_BOUND_COUNT] = {work.bytes / model->ceilings->bytes,
                                       work.mma / model->ceilings->mma,
                                       work.flops / model->ceilings->flops};
    int most = GML_BOUND_MEMORY;
    for (int i = 0; i < GML_BOUND_COUNT; i++)
        if (seconds[i] > seconds[most])
            most = i;
    work.seconds[most] = seconds[most];
    return work;
}

/* ---- the model ----------------------------------------------------------------------------
 */

typedef struct sizes {
    const gml_dim_pool *pool;
    int64_t *ones; /* every symbol's value */
} sizes;

static double value_of(const sizes *s, gml_dim dim)
{
    int64_t value = 0;
    if (gml_dim_is_const(dim))
        return (double)dim;
    return gml_dim_eval(s->pool, dim, s->ones, &value) ? (double)value : 0;
}

static uint32_t slot_of(const gml_step *step, const gml_access *access)
{
    if (access->kind != GML_ACCESS_VALUE)
        return GML_NO_SLOT;
    if (access->mem < step->n_inputs)
        return step->inputs[access->mem];
    return step->outputs[access->mem - step->n_inputs];
}

static void add_phase(gml_floor_model *m, const sizes *s, uint32_t step, const gml_cost *cost)
{
    gml_floor_phase phase = {.step = step,
                             .first = (uint32_t)m->traffic.count,
                             .n = cost->n_accesses,
                             .mma = value_of(s, cost->mma),
                             .flops = value_of(s, cost->flops),
                             .is_copy = cost->is_copy};
    for (uint32_t i = 0; i < cost->n_accesses; i++) {
        const gml_access *access = &cost->accesses[i];
        gml_traffic one = {.kind = access->kind,
                           .is_store = access->is_store,
                           .phase = (uint32_t)m->phases.count,
                           .step = step,
                           .slot = slot_of(&m->program->steps.items[step], access),
                           .bytes = value_of(s, access->bytes)};
        gml_push(m->arena, &m->traffic, one);
    }
    gml_push(m->arena, &m->phases, phase);
}

static void fill_model(gml_floor_model *m)
{
    const gml_program *program = m->program;
    sizes s = {.pool = &program->dims};
    s.ones = gml_new_array(m->arena, int64_t, program->dims.exprs.count + 1);
    for (size_t i = 0; i < program->dims.exprs.count; i++)
        s.ones[i] = 1;
    for (uint32_t i = 0; i < program->steps.count; i++) {
        const gml_step *step = &program->steps.items[i];
        for (uint32_t p = 0; step->kind == GML_STEP_KERNEL && p < step->n_phases; p++)
            add_phase(m, &s, i, &step->phases[p].cost);
    }
}

/* ---- groups -------------------------------------------------------------------------------
 */

static const char *shape_of(const gml_floor_model *m, const gml_step *step)
{
    gml_str text;
    if (step->n_outputs == 0 || step->parts)
        return "";
    const gml_slot *slot = &m->program->slots.items[step->outputs[0]];
    gml_str_init(&text);
    gml_str_printf(&text, "%s[", gml_dtype_name(slot->dtype));
    for (int d = 0; d < slot->rank; d++) {
        gml_str_puts(&text, d ? "," : "");
        gml_dim_print(&m->program->dims, slot->dims[d], &text);
    }
    gml_str_puts(&text, "]");
    const char *shape = gml_arena_text(m->arena, text.text, text.len);
    gml_str_reset(&text);
    return shape;
}

static int by_seconds(const void *a, const void *b)
{
    const gml_floor_group *x = a;
    const gml_floor_group *y = b;
    double s = gml_floor_seconds(&x->work);
    double t = gml_floor_seconds(&y->work);
    if (s != t)
        return s < t ? 1 : -1;
    return x->step > y->step ? 1 : -1;
}

/* By step, the bytes of values that another kernel wrote, or reads. */
static double *find_passed(const gml_floor_model *m)
{
    size_t n_slots = m->program->slots.count;
    double *passed = gml_new_array(m->arena, double, m->program->steps.count + 1);
    bool *is_read = gml_new_array(m->arena, bool, n_slots + 1);
    bool *is_written = gml_new_array(m->arena, bool, n_slots + 1);
    for (size_t i = 0; i < m->traffic.count; i++)
        if (m->traffic.items[i].slot != GML_NO_SLOT)
            (m->traffic.items[i].is_store ? is_written : is_read)[m->traffic.items[i].slot] =
                true;
    for (size_t i = 0; i < m->traffic.count; i++) {
        const gml_traffic *one = &m->traffic.items[i];
        if (one->slot != GML_NO_SLOT && is_read[one->slot] && is_written[one->slot])
            passed[one->step] += one->bytes;
    }
    return passed;
}

static void find_groups(const gml_floor_model *m, gml_floor *out)
{
    const double *passed = find_passed(m);
    gml_floor_group *groups =
        gml_new_array(m->arena, gml_floor_group, m->program->steps.count + 1);
    gml_map known;
    gml_map_init(&known, m->arena);
    for (uint32_t i = 0; i < m->program->steps.count; i++) {
        const gml_step *step = &m->program->steps.items[i];
        const gml_floor_work *work = &out->steps[i];
        if (step->kind != GML_STEP_KERNEL)
            continue;
        const char *shape = shape_of(m, step);
        const char *key =
            gml_arena_printf(m->arena, "%s %s %.0f %.0f %.0f %u", step->name, shape,
                             work->bytes, work->mma, work->flops, work->n_launches);
        gml_floor_group *group = gml_map_find(&known, key);
        if (!group) {
            group = &groups[out->n_groups++];
            *group = (gml_floor_group){.step = i, .shape = shape};
            gml_map_set(&known, key, group);
        }
        group->count++;
        group->passed += passed[i];
        gml_floor_add(&group->work, work);
    }
    qsort(groups, out->n_groups, sizeof *groups, by_seconds);
    out->groups = groups;
}

/* The first size of the largest input that is no state. */
static int64_t find_batch(const gml_program *program, gml_arena *arena)
{
    bool *is_state = gml_new_array(arena, bool, program->n_inputs + 1);
    double most = 0;
    int64_t batch = 0;
    for (size_t i = 0; i < program->states.count; i++)
        if (program->states.items[i].input != GML_NO_SLOT)
            is_state[program->states.items[i].input] = true;
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        const gml_slot *slot = &program->slots.items[program->inputs[i]];
        double numel = 1;
        if (is_state[i] || slot->rank < 1)
            continue;
        for (int d = 0; d < slot->rank; d++)
            numel *= gml_dim_is_const(slot->dims[d]) ? (double)slot->dims[d] : 1;
        if (numel > most) {
            most = numel;
            batch = gml_dim_is_const(slot->dims[0]) ? slot->dims[0] : 1;
        }
    }
    return batch;
}

void gml_floor_find(const gml_program *program, const gml_ceilings *ceilings, gml_arena *arena,
                    gml_floor *out_floor)
{
    gml_floor_model model = {.program = program, .ceilings = ceilings, .arena = arena};
    gml_floor_work *steps = gml_new_array(arena, gml_floor_work, program->steps.count + 1);
    *out_floor =
        (gml_floor){.ceilings = ceilings, .steps = steps, .batch = find_batch(program, arena)};
    fill_model(&model);
    for (uint32_t p = 0; p < model.phases.count; p++) {
        gml_floor_work work = gml_floor_phase_work(&model, p);
        gml_floor_add(&steps[model.phases.items[p].step], &work);
        gml_floor_add(&out_floor->total, &work);
    }
    for (size_t i = 0; i < program->steps.count; i++)
        *(program->steps.items[i].kind == GML_STEP_KERNEL ? &out_floor->n_kernels
                                                          : &out_floor->n_host) += 1;
    out_floor->path = gml_floor_find_path(program, steps, arena);
    find_groups(&model, out_floor);
    gml_floor_save(&model, out_floor->savings);
}
