/* runtime/exec_memory.c - where an instance's slots lie.
 *
 * The arena of a static program was planned when it was compiled. Otherwise every slot whose
 * size is known once the inputs are bound is placed then, by the same method, and the arena
 * grows when it must; what is not known then gets a buffer when its step comes. What a step
 * needs for itself alone lies in the arena as well, where there is room in that step. */
#include "runtime/instance.h"

bool gml_instance_shape(const gml_instance *instance, uint32_t slot, gml_tensor *out_shape)
{
    const gml_slot *s = &instance->program->slots.items[slot];
    *out_shape = (gml_tensor){.dtype = s->dtype, .rank = s->rank};
    for (int i = 0; i < s->rank; i++) {
        if (!gml_instance_dim(instance, s->dims[i], &out_shape->dims[i]))
            return false;
    }
    return true;
}

static gml_status fail_shape(const gml_slot *slot, gml_loc loc, gml_diags *diags)
{
    return gml_fail(diags, GML_E_SHAPE, loc,
                    "value %s has a negative size, or one that does not fit",
                    slot->name != NULL ? slot->name : "without a name");
}

gml_status gml_instance_reserve(gml_device *device, gml_buffer **buffer, uint64_t size,
                                gml_diags *diags)
{
    if (*buffer != NULL && gml_buffer_size(*buffer) >= size)
        return GML_OK;
    gml_buffer_release(*buffer);
    *buffer = device != NULL ? gml_buffer_create_on(device, (size_t)size)
                             : gml_buffer_create((size_t)size, false);
    if (*buffer == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0},
                        "no memory%s for %llu bytes of values",
                        device != NULL ? " on the device" : "", (unsigned long long)size);
    return GML_OK;
}

/* ---- Slots ------------------------------------------------------------------------------ */

/* What lies on a device is copied for whoever runs a region. */
static bool is_owned_output(const gml_instance *instance, uint32_t slot)
{
    return instance->outer != NULL && instance->program->device == NULL &&
           instance->live.last[slot] == instance->program->steps.count;
}

static gml_status place_static(gml_instance *instance, uint64_t *out_size)
{
    const gml_program *program = instance->program;
    *out_size = 0;
    for (uint32_t i = 0; i < program->slots.count; i++) {
        const gml_slot *slot = &program->slots.items[i];
        gml_tensor shape;
        size_t bytes = 0;
        instance->is_placed[i] = slot->kind == GML_SLOT_ARENA && !slot->is_state &&
                                 !is_owned_output(instance, i) && !instance->keeps_apart;
        if (!instance->is_placed[i])
            continue;
        if (!gml_instance_shape(instance, i, &shape) || !gml_tensor_bytes(&shape, &bytes))
            return GML_E_SHAPE;
        instance->offsets[i] = slot->offset;
        uint64_t end = slot->offset + bytes;
        *out_size = end > *out_size ? end : *out_size;
    }
    return GML_OK;
}

static gml_status place_bound(gml_instance *instance, uint64_t *out_size, gml_diags *diags)
{
    const gml_program *program = instance->program;
    size_t n_places = 0;
    for (uint32_t i = 0; i < program->slots.count; i++) {
        const gml_slot *slot = &program->slots.items[i];
        gml_tensor shape;
        size_t bytes = 0;
        instance->is_placed[i] = slot->kind == GML_SLOT_ARENA && !slot->is_state &&
                                 instance->live.first[i] != UINT32_MAX &&
                                 !is_owned_output(instance, i) && !instance->keeps_apart &&
                                 gml_instance_shape(instance, i, &shape);
        if (!instance->is_placed[i])
            continue;
        if (!gml_tensor_bytes(&shape, &bytes)) {
            const gml_step *step = &program->steps.items[instance->live.first[i]];
            return fail_shape(slot, gml_step_loc(step), diags);
        }
        instance->places[n_places++] = (gml_place){.size = bytes,
                                                   .first = instance->live.first[i],
                                                   .last = instance->live.last[i],
                                                   .slot = i};
    }
    if (!gml_place_all(instance->places, n_places, instance->order, out_size))
        return gml_fail(diags, GML_E_SHAPE, (gml_loc){0}, "the values do not fit in memory");
    for (size_t i = 0; i < n_places; i++)
        instance->offsets[instance->places[i].slot] = instance->places[i].offset;
    return GML_OK;
}

static gml_status allocate(gml_device *device, const gml_tensor *shape, gml_rvalue *out_value)
{
    size_t bytes = 0;
    if (device == NULL)
        return gml_rvalue_alloc(out_value, shape->dtype, shape->rank, shape->dims);
    if (!gml_tensor_bytes(shape, &bytes))
        return GML_E_SHAPE;
    gml_buffer *buffer = gml_buffer_create_on(device, bytes);
    if (buffer == NULL)
        return GML_E_MEMORY;
    *out_value = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = *shape, .buffer = buffer};
    out_value->tensor.data = gml_buffer_data(buffer);
    return GML_OK;
}

gml_status gml_instance_ready(gml_instance *instance, uint32_t slot, gml_loc loc,
                              gml_diags *diags)
{
    if (instance->is_direct[slot])
        return GML_OK;
    if (instance->is_placed[slot]) {
        instance->addresses[slot] =
            (char *)gml_buffer_data(instance->arena) + instance->offsets[slot];
        return GML_OK;
    }
    const gml_slot *s = &instance->program->slots.items[slot];
    gml_tensor shape;
    if (!gml_instance_shape(instance, slot, &shape))
        return gml_fail(diags, GML_E_SHAPE, loc,
                        "value %s has no size: one overflows, or nothing decides it",
                        s->name != NULL ? s->name : "without a name");
    gml_status status = allocate(instance->program->device, &shape, &instance->values[slot]);
    if (status == GML_E_SHAPE)
        return fail_shape(s, loc, diags);
    if (status != GML_OK)
        return gml_fail(diags, status, loc, "no memory for value %s",
                        s->name != NULL ? s->name : "without a name");
    instance->addresses[slot] = instance->values[slot].tensor.data;
    return GML_OK;
}

/* ---- Workspaces ------------------------------------------------------------------------- */

typedef struct needs {
    uint64_t temporaries; /* all of a step */
    uint64_t scratch;     /* of one thread */
    uint64_t threads;
} needs;

static gml_status add_bytes(const gml_instance *instance, gml_dim dim, uint64_t *sum,
                            bool *is_known)
{
    int64_t bytes = 0;
    if (!gml_instance_dim(instance, dim, &bytes)) {
        *is_known = false;
        return GML_OK;
    }
    if (bytes < 0 || (uint64_t)bytes > (UINT64_C(1) << 60) || *sum > (UINT64_C(1) << 60))
        return GML_E_SHAPE;
    *sum += gml_align_up((uint64_t)bytes);
    return GML_OK;
}

static gml_status find_needs(const gml_instance *instance, const gml_step *step, needs *out,
                             bool *is_known)
{
    *out = (needs){0};
    *is_known = true;
    for (uint32_t i = 0; i < step->n_temporaries; i++)
        GML_TRY(add_bytes(instance, step->temporaries[i], &out->temporaries, is_known));
    GML_TRY(add_bytes(instance, step->scratch, &out->scratch, is_known));
    out->threads = instance->pool != NULL ? (uint64_t)gml_pool_threads(instance->pool) : 1;
    return out->scratch > (UINT64_C(1) << 50) ? GML_E_SHAPE : GML_OK;
}

/* What is alive in the arena, by rising offset. */
typedef struct alive {
    gml_place *places; /* of the instance */
    size_t count;
} alive;

static void add_alive(alive *a, gml_place place)
{
    size_t at = a->count++;
    for (; at > 0 && a->places[at - 1].offset > place.offset; at--)
        a->places[at] = a->places[at - 1];
    a->places[at] = place;
}

static void advance_to(const gml_instance *instance, alive *a, uint32_t number)
{
    const gml_step *step = &instance->program->steps.items[number];
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i++)
        if (a->places[i].last >= number)
            a->places[kept++] = a->places[i];
    a->count = kept;
    for (uint32_t o = 0; o < step->n_outputs; o++) {
        uint32_t slot = step->outputs[o];
        gml_tensor shape;
        size_t bytes = 0;
        if (slot != GML_NO_SLOT && instance->is_placed[slot] &&
            gml_instance_shape(instance, slot, &shape) && gml_tensor_bytes(&shape, &bytes))
            add_alive(a, (gml_place){.size = bytes,
                                     .offset = instance->offsets[slot],
                                     .first = number,
                                     .last = instance->live.last[slot]});
    }
}

/* Where `size` bytes for step `number` alone lie; they are alive from now on. */
static uint64_t take_gap(alive *a, uint64_t size, uint32_t number)
{
    gml_place place = {.size = size, .first = number, .last = number};
    place.offset = gml_find_gap(a->places, NULL, a->count, &place);
    add_alive(a, place);
    return place.offset;
}

/* On a device there is no scratch of threads. */
static bool is_work_planned(const gml_instance *instance)
{
    return instance->program->device != NULL && instance->program->is_static &&
           !instance->keeps_apart;
}

static gml_status place_planned_work(gml_instance *instance, uint64_t *size)
{
    const gml_program *program = instance->program;
    for (uint32_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        needs n = {0};
        bool is_known = true;
        if (step->kind == GML_STEP_KERNEL)
            GML_TRY(find_needs(instance, step, &n, &is_known));
        uint64_t end = step->temporaries_offset + n.temporaries;
        instance->works[s] = (gml_work){step->temporaries_offset, 0};
        *size = n.temporaries > 0 && end > *size ? end : *size;
    }
    return GML_OK;
}

/* What a step needs while it runs lies between the slots: mostly an arena has room for it, but
 * where it is fullest. `*size` is the arena's, and grows. */
static gml_status place_work(gml_instance *instance, uint64_t *size, gml_diags *diags)
{
    const gml_program *program = instance->program;
    alive a = {.places = instance->places};
    for (uint32_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        gml_work *work = &instance->works[s];
        needs n;
        bool is_known = true;
        *work = (gml_work){GML_APART, GML_APART};
        advance_to(instance, &a, s);
        if (step->kind != GML_STEP_KERNEL)
            continue;
        if (find_needs(instance, step, &n, &is_known) != GML_OK)
            return gml_fail(diags, GML_E_SHAPE, gml_step_loc(step),
                            "the kernel's temporaries do not fit");
        if (!is_known)
            continue;
        *work = (gml_work){0, 0};
        if (n.temporaries > 0)
            work->temporaries = take_gap(&a, n.temporaries, s);
        if (n.scratch > 0)
            work->scratch = take_gap(&a, n.scratch * n.threads, s);
        for (size_t i = 0; i < a.count; i++)
            if (a.places[i].offset + a.places[i].size > *size)
                *size = a.places[i].offset + a.places[i].size;
    }
    return GML_OK;
}

gml_status gml_instance_workspace(gml_instance *instance, const gml_step *step, void **mems,
                                  char **out_scratch, size_t *out_scratch_size,
                                  gml_diags *diags)
{
    needs n;
    bool is_known = true;
    gml_loc loc = gml_step_loc(step);
    gml_work work = instance->works[step - instance->program->steps.items];
    if (find_needs(instance, step, &n, &is_known) != GML_OK)
        return gml_fail(diags, GML_E_SHAPE, loc, "the kernel's temporaries do not fit");
    if (!is_known)
        return gml_fail(diags, GML_E_INTERNAL, loc, "the size of a temporary is not known");
    const gml_buffer *buffer = instance->arena;
    if (work.temporaries == GML_APART) {
        GML_TRY(gml_instance_reserve(instance->program->device, &instance->workspace,
                                     n.temporaries + n.scratch * n.threads, diags));
        buffer = instance->workspace;
        work = (gml_work){0, n.temporaries};
    }
    char *next = (char *)gml_buffer_data(buffer) + work.temporaries;
    *out_scratch = (char *)gml_buffer_data(buffer) + work.scratch;
    *out_scratch_size = (size_t)n.scratch;
    for (uint32_t i = 0; i < step->n_temporaries; i++) {
        uint64_t bytes = 0;
        mems[i] = next;
        GML_TRY(add_bytes(instance, step->temporaries[i], &bytes, &is_known));
        next += bytes;
    }
    return GML_OK;
}

gml_status gml_instance_place(gml_instance *instance, gml_diags *diags)
{
    uint64_t size = 0;
    if (instance->program->is_static) {
        if (place_static(instance, &size) != GML_OK ||
            (is_work_planned(instance) && place_planned_work(instance, &size) != GML_OK))
            return gml_fail(diags, GML_E_INVALID, (gml_loc){0}, "the program was not planned");
    } else {
        GML_TRY(place_bound(instance, &size, diags));
    }
    if (!is_work_planned(instance))
        GML_TRY(place_work(instance, &size, diags));
    return gml_instance_reserve(instance->program->device, &instance->arena, size, diags);
}
