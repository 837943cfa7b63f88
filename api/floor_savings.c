/* api/floor_savings.c - which bytes of a program need not move.
 *
 * Each saving is found in the model that those before it have left, and takes its bytes out of
 * it. What a phase computes stays where it is, so that nothing gets faster than its arithmetic.
 *
 * A kernel can be one with another that it reads from only where no third stands between: where
 * it needs nothing that is made by others of what the first one makes. */
#include "api/floor.h"

#include <stdlib.h>
#include <string.h>

/* A result is small beside what it is made of. */
#define GML_SMALL_RESULT 16

typedef struct finder {
    gml_floor_model *m;
    uint32_t *of_slot; /* the first access of a slot, by number + 1 */
    uint32_t *next;    /* by access, the slot's next */
    bool *is_needed;   /* by slot: not by kernels of this program alone */
    uint32_t *updated; /* by slot of a state that is read: what replaces it, or GML_NO_SLOT */
    uint32_t *writer;  /* by slot: its step */
    bool *is_twofold;  /* by slot: it is stored as bf16 too */
    bool **between;    /* by step, when wanted: later steps that a third leads to */
    gml_saving *saving;
    gml_map known; /* the saving's parts, by names */
    gml_vec(gml_saving_part *) parts;
} finder;

static gml_traffic *access_of(const finder *f, uint32_t number)
{
    return &f->m->traffic.items[number];
}

/* ---- what reads what ----------------------------------------------------------------------
 */

static void note_needed(finder *f)
{
    const gml_program *program = f->m->program;
    for (uint32_t i = 0; i < program->n_outputs; i++)
        f->is_needed[program->outputs[i]] = true;
    for (size_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        for (uint32_t o = 0; o < step->n_outputs; o++)
            f->writer[step->outputs[o]] = (uint32_t)s;
        if (step->kind != GML_STEP_HOST)
            continue;
        for (uint32_t i = 0; i < step->n_inputs; i++)
            if (step->inputs[i] != GML_NO_SLOT)
                f->is_needed[step->inputs[i]] = true;
        for (uint32_t r = 0; r < step->n_regions; r++)
            for (uint32_t i = 0; i < step->regions[r].n_captures; i++)
                f->is_needed[step->regions[r].captures[i]] = true;
    }
    for (size_t i = 0; i < program->states.count; i++) {
        const gml_program_state *state = &program->states.items[i];
        if (state->input != GML_NO_SLOT && state->output != GML_NO_SLOT)
            f->updated[program->inputs[state->input]] = program->outputs[state->output];
    }
}

static void link_accesses(finder *f)
{
    gml_floor_model *m = f->m;
    size_t n_slots = m->program->slots.count;
    f->of_slot = gml_new_array(m->arena, uint32_t, n_slots + 1);
    f->next = gml_new_array(m->arena, uint32_t, m->traffic.count + 1);
    f->is_needed = gml_new_array(m->arena, bool, n_slots + 1);
    f->updated = gml_new_array(m->arena, uint32_t, n_slots + 1);
    f->is_twofold = gml_new_array(m->arena, bool, n_slots + 1);
    f->writer = gml_new_array(m->arena, uint32_t, n_slots + 1);
    f->between = gml_new_array(m->arena, bool *, m->program->steps.count + 1);
    for (size_t i = 0; i < n_slots; i++)
        f->updated[i] = f->writer[i] = GML_NO_SLOT;
    for (size_t i = m->traffic.count; i-- > 0;) {
        uint32_t slot = m->traffic.items[i].slot;
        if (slot == GML_NO_SLOT)
            continue;
        f->next[i] = f->of_slot[slot];
        f->of_slot[slot] = (uint32_t)i + 1;
    }
    note_needed(f);
}

/* By step: whether a path leads there from `from` over another step. */
static const bool *find_between(finder *f, uint32_t from)
{
    const gml_program *program = f->m->program;
    if (f->between[from])
        return f->between[from];
    size_t n = program->steps.count;
    bool *reached = gml_new_array(f->m->arena, bool, n + 1);
    bool *between = f->between[from] = gml_new_array(f->m->arena, bool, n + 1);
    for (size_t s = from + 1; s < n; s++) {
        const gml_step *step = &program->steps.items[s];
        for (uint32_t i = 0; i < step->n_inputs; i++) {
            uint32_t by =
                step->inputs[i] == GML_NO_SLOT ? GML_NO_SLOT : f->writer[step->inputs[i]];
            if (by == GML_NO_SLOT || by < from)
                continue;
            between[s] = between[s] || (by != from && reached[by]);
            reached[s] = reached[s] || by == from || reached[by];
        }
    }
    return between;
}

/* Whether a kernel wrote what `access` reads with which its reader can be one. */
static bool can_join(finder *f, const gml_traffic *access)
{
    if (access->is_store || access->slot == GML_NO_SLOT || access->bytes == 0)
        return false;
    uint32_t writer = f->writer[access->slot];
    return writer != GML_NO_SLOT && writer != access->step &&
           f->m->program->steps.items[writer].kind == GML_STEP_KERNEL &&
           !find_between(f, writer)[access->step];
}

static bool is_read(const finder *f, uint32_t slot)
{
    for (uint32_t at = f->of_slot[slot]; at; at = f->next[at - 1])
        if (!access_of(f, at - 1)->is_store && access_of(f, at - 1)->bytes > 0)
            return true;
    return f->is_needed[slot];
}

/* ---- what is saved ------------------------------------------------------------------------
 */

static const char *name_of(const finder *f, uint32_t step)
{
    return step == GML_NO_SLOT ? NULL : f->m->program->steps.items[step].name;
}

static void note(finder *f, uint32_t writer, uint32_t reader, uint32_t count, double bytes)
{
    const char *from = name_of(f, writer);
    const char *to = name_of(f, reader);
    const char *key = gml_arena_printf(f->m->arena, "%s > %s", from ? from : "", to ? to : "");
    gml_saving_part *part = gml_map_find(&f->known, key);
    if (!part) {
        part = gml_new(f->m->arena, gml_saving_part);
        *part = (gml_saving_part){.writer = from, .reader = to};
        gml_map_set(&f->known, key, part);
        gml_push(f->m->arena, &f->parts, part);
    }
    part->count += count;
    part->bytes += bytes;
    f->saving->count += count;
    f->saving->bytes += bytes;
}

static double drop(gml_traffic *access)
{
    double bytes = access->bytes;
    access->bytes = 0;
    return bytes;
}

/* What writes a value that nobody reads any more. */
static double drop_unread(finder *f, uint32_t slot)
{
    double bytes = 0;
    if (is_read(f, slot))
        return 0;
    for (uint32_t at = f->of_slot[slot]; at; at = f->next[at - 1])
        if (access_of(f, at - 1)->is_store)
            bytes += drop(access_of(f, at - 1));
    return bytes;
}

static gml_floor_phase *phase_of(const finder *f, uint32_t number)
{
    return &f->m->phases.items[number];
}

static double stored_by(const finder *f, const gml_floor_phase *phase)
{
    double bytes = 0;
    for (uint32_t i = phase->first; i < phase->first + phase->n; i++)
        bytes += access_of(f, i)->is_store ? access_of(f, i)->bytes : 0;
    return bytes;
}

/* The operand in bf16 that the phase writes out of one value, as it is. */
static gml_traffic *find_operand(const finder *f, const gml_floor_phase *phase)
{
    gml_traffic *operand = NULL;
    unsigned n_read = 0;
    for (uint32_t i = phase->first; i < phase->first + phase->n; i++) {
        gml_traffic *one = access_of(f, i);
        if (!one->is_store)
            n_read += one->bytes > 0;
        else if (one->kind == GML_ACCESS_OPERAND)
            operand = one;
    }
    return phase->is_copy && n_read == 1 ? operand : NULL;
}

/* A value in f32 is stored as bf16, or so too, where it is still read as f32. */
static double store_narrow(finder *f, uint32_t slot, bool is_twofold)
{
    double saved = 0;
    for (uint32_t at = f->of_slot[slot]; at; at = f->next[at - 1]) {
        gml_traffic *one = access_of(f, at - 1);
        double half = one->is_store ? one->bytes / 2 : 0;
        one->bytes += is_twofold ? half : -half;
        saved += is_twofold ? -half : half;
    }
    f->is_twofold[slot] = is_twofold;
    return saved;
}

/* The copies in bf16 that products make of one value. A state's is made when it is updated. */
static void save_operands_of(finder *f, uint32_t slot)
{
    const gml_program *program = f->m->program;
    bool is_state = f->updated[slot] != GML_NO_SLOT;
    uint32_t writer = f->writer[slot];
    uint32_t reader = GML_NO_SLOT;
    double bytes = 0;
    bool is_kernel =
        writer != GML_NO_SLOT && program->steps.items[writer].kind == GML_STEP_KERNEL;
    if (program->slots.items[slot].dtype != GML_F32 || (!is_kernel && !is_state))
        return;
    for (uint32_t at = f->of_slot[slot]; at; at = f->next[at - 1]) {
        gml_floor_phase *phase = phase_of(f, access_of(f, at - 1)->phase);
        gml_traffic *operand = find_operand(f, phase);
        if (!operand || access_of(f, at - 1)->is_store)
            continue;
        bytes += drop(operand) + drop(access_of(f, at - 1));
        phase->flops = 0;
        reader = reader == GML_NO_SLOT ? phase->step : reader;
    }
    if (reader == GML_NO_SLOT)
        return;
    bytes += store_narrow(f, is_state ? f->updated[slot] : slot, is_state || is_read(f, slot));
    note(f, is_state ? f->writer[f->updated[slot]] : writer, reader, 1, bytes);
}

static void save_operands(finder *f)
{
    for (uint32_t slot = 0; slot < f->m->program->slots.count; slot++)
        save_operands_of(f, slot);
}

static void save_room(finder *f)
{
    for (size_t p = 0; p < f->m->phases.count; p++) {
        const gml_floor_phase *phase = phase_of(f, (uint32_t)p);
        double bytes = 0;
        for (uint32_t i = phase->first; i < phase->first + phase->n; i++)
            if (access_of(f, i)->kind == GML_ACCESS_ROOM)
                bytes += drop(access_of(f, i));
        if (bytes > 0)
            note(f, GML_NO_SLOT, phase->step, 1, bytes);
    }
}

/* Reading `access`, and writing it where nobody else reads it. */
static void join(finder *f, gml_traffic *access)
{
    double bytes = drop(access);
    note(f, f->writer[access->slot], access->step, 1, bytes + drop_unread(f, access->slot));
}

/* Of what a phase reads for small results the largest value that its writer had. */
static void save_sums(finder *f)
{
    for (size_t p = 0; p < f->m->phases.count; p++) {
        const gml_floor_phase *phase = phase_of(f, (uint32_t)p);
        double stored = stored_by(f, phase);
        gml_traffic *most = NULL;
        for (uint32_t i = phase->first; i < phase->first + phase->n; i++) {
            gml_traffic *one = access_of(f, i);
            if (can_join(f, one) && (!most || one->bytes > most->bytes))
                most = one;
        }
        if (phase->mma == 0 && most && most->bytes >= stored * GML_SMALL_RESULT)
            join(f, most);
    }
}

static void save_copies(finder *f)
{
    for (size_t p = 0; p < f->m->phases.count; p++) {
        const gml_floor_phase *phase = phase_of(f, (uint32_t)p);
        bool stays = !phase->is_copy;
        double bytes = 0;
        for (uint32_t i = phase->first; i < phase->first + phase->n; i++) {
            const gml_traffic *one = access_of(f, i);
            stays = stays ||
                    (one->is_store && (one->slot == GML_NO_SLOT || f->is_needed[one->slot]));
        }
        for (uint32_t i = phase->first; !stays && i < phase->first + phase->n; i++)
            bytes += drop(access_of(f, i));
        if (bytes > 0)
            note(f, GML_NO_SLOT, phase->step, 1, bytes);
    }
}

static void save_fusion(finder *f)
{
    for (size_t p = 0; p < f->m->phases.count; p++) {
        const gml_floor_phase *phase = phase_of(f, (uint32_t)p);
        gml_floor_work work = gml_floor_phase_work(f->m, (uint32_t)p);
        if (phase->mma > 0 || gml_floor_bound(&work) != GML_BOUND_MEMORY)
            continue;
        for (uint32_t i = phase->first; i < phase->first + phase->n; i++)
            if (can_join(f, access_of(f, i)))
                join(f, access_of(f, i));
    }
}

/* Whether kernels alone have to do with a value in f32. */
static bool is_between(const finder *f, uint32_t slot)
{
    uint32_t writer = f->writer[slot];
    return writer != GML_NO_SLOT &&
           f->m->program->steps.items[writer].kind == GML_STEP_KERNEL &&
           f->m->program->slots.items[slot].dtype == GML_F32 && !f->is_needed[slot] &&
           is_read(f, slot);
}

static void save_narrow(finder *f)
{
    double mma = 0;
    for (size_t p = 0; p < f->m->phases.count; p++)
        mma += phase_of(f, (uint32_t)p)->mma;
    for (uint32_t slot = 0; mma > 0 && slot < f->m->program->slots.count; slot++) {
        double bytes = 0;
        uint32_t reader = GML_NO_SLOT;
        for (uint32_t at = is_between(f, slot) ? f->of_slot[slot] : 0; at;
             at = f->next[at - 1]) {
            gml_traffic *one = access_of(f, at - 1);
            double keeps = one->is_store && f->is_twofold[slot] ? 3 : 2;
            if (!one->is_store && one->bytes > 0 && reader == GML_NO_SLOT)
                reader = one->step;
            bytes += one->bytes - one->bytes / keeps;
            one->bytes /= keeps;
        }
        if (bytes > 0)
            note(f, f->writer[slot], reader, 1, bytes);
    }
}

static int by_bytes(const void *a, const void *b)
{
    const gml_saving_part *x = a;
    const gml_saving_part *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return strcmp(x->reader ? x->reader : "", y->reader ? y->reader : "");
}

static void finish(finder *f)
{
    gml_saving_part *parts = gml_new_array(f->m->arena, gml_saving_part, f->parts.count + 1);
    for (size_t i = 0; i < f->parts.count; i++)
        parts[i] = *f->parts.items[i];
    qsort(parts, f->parts.count, sizeof *parts, by_bytes);
    f->saving->parts = parts;
    f->saving->n_parts = (uint32_t)f->parts.count;
    for (uint32_t p = 0; p < f->m->phases.count; p++) {
        gml_floor_work work = gml_floor_phase_work(f->m, p);
        gml_floor_add(&f->saving->after, &work);
    }
}

void gml_floor_save(gml_floor_model *model, gml_saving *out_savings)
{
    static void (*const save[GML_SAVING_COUNT])(finder *) = {
        [GML_SAVING_OPERANDS] = save_operands, [GML_SAVING_ROOM] = save_room,
        [GML_SAVING_SUMS] = save_sums,         [GML_SAVING_COPIES] = save_copies,
        [GML_SAVING_FUSION] = save_fusion,     [GML_SAVING_NARROW] = save_narrow,
    };
    finder f = {.m = model};
    link_accesses(&f);
    for (int kind = 0; kind < GML_SAVING_COUNT; kind++) {
        out_savings[kind] = (gml_saving){.kind = (gml_saving_kind)kind};
        f.saving = &out_savings[kind];
        gml_map_init(&f.known, model->arena);
        f.parts.count = 0;
        save[kind](&f);
        finish(&f);
    }
}
