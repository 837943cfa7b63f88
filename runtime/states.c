/* runtime/states.c - what a model keeps from run to run. */
#include "runtime/states.h"

#include "runtime/device.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct gml_states {
    atomic_int refs;
    gml_arena arena;
    const char **names;
    gml_rvalue *values;
    gml_rvalue *copies; /* of those on a device, as they were read last; else NONE */
    size_t count;
    gml_device *device; /* retained; NULL: here */
};

static bool is_same_shape(const gml_tensor *a, const gml_tensor *b)
{
    return a->rank == b->rank &&
           (a->rank == 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

static const char *type_text(const gml_tensor *tensor, gml_arena *arena)
{
    const char *text = gml_arena_printf(arena, "%s[", gml_dtype_name(tensor->dtype));
    for (int d = 0; d < tensor->rank; d++)
        text =
            gml_arena_printf(arena, "%s%s%lld", text, d ? "," : "", (long long)tensor->dims[d]);
    return gml_arena_printf(arena, "%s]", text);
}

static bool is_zero(const void *data, size_t size)
{
    static const char zeros[4096];
    const char *at = data;
    for (; size > sizeof zeros; at += sizeof zeros, size -= sizeof zeros)
        if (memcmp(at, zeros, sizeof zeros) != 0)
            return false;
    return memcmp(at, zeros, size) == 0;
}

static gml_status no_memory(size_t bytes, gml_loc loc, gml_diags *diags)
{
    return gml_fail(diags, GML_E_MEMORY, loc, "no memory for %zu bytes", bytes);
}

/* Takes `*value` to the device. */
static gml_status send(gml_device *device, gml_rvalue *value, gml_loc loc, gml_diags *diags)
{
    size_t bytes = 0;
    (void)gml_tensor_bytes(&value->tensor, &bytes);
    gml_buffer *there = gml_buffer_create_on(device, bytes);
    if (there == NULL)
        return no_memory(bytes, loc, diags);
    gml_status status =
        gml_device_put(device, gml_buffer_data(there), value->tensor.data, bytes, diags);
    gml_buffer_release(value->buffer);
    value->buffer = there;
    value->tensor.data = gml_buffer_data(there);
    return status;
}

/* Memory of zeros is not touched: a large one takes none before it changes. */
static gml_status create_value(const gml_state_port *port, gml_loc loc, gml_rvalue *out_value,
                               gml_diags *diags)
{
    const gml_tensor *initial = &port->initial;
    gml_tensor tensor = *initial;
    size_t bytes = 0;
    if (initial->dtype == GML_NONE || initial->dtype == GML_STRING ||
        !gml_tensor_bytes(initial, &bytes))
        return gml_fail(diags, GML_E_UNSUPPORTED, loc, "has no fixed size");
    gml_buffer *buffer = gml_buffer_create(bytes, true);
    if (buffer == NULL)
        return no_memory(bytes, loc, diags);
    tensor.data = gml_buffer_data(buffer);
    if (bytes != 0 && initial->data != NULL && !is_zero(initial->data, bytes))
        memcpy(tensor.data, initial->data, bytes);
    *out_value = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = tensor, .buffer = buffer};
    return GML_OK;
}

gml_status gml_states_create(const gml_state_port *ports, size_t n, gml_device *device,
                             const char *file, gml_states **out_states, gml_diags *diags)
{
    gml_states *states = calloc(1, sizeof *states);
    if (states == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for a model's states");
    atomic_init(&states->refs, 1);
    gml_arena_init(&states->arena);
    states->names = gml_new_array(&states->arena, const char *, n + 1);
    states->values = gml_new_array(&states->arena, gml_rvalue, n + 1);
    states->copies = gml_new_array(&states->arena, gml_rvalue, n + 1);
    states->device = gml_device_retain(device);
    for (size_t i = 0; i < n; i++) {
        const char *name = ports[i].name;
        gml_loc loc = {.file = file, .node = name, .op = "state"};
        states->names[i] = gml_arena_text(&states->arena, name, strlen(name));
        gml_status status = create_value(&ports[i], loc, &states->values[i], diags);
        states->count = i + 1; /* a value that failed is NONE */
        if (status == GML_OK && device != NULL)
            status = send(device, &states->values[i], loc, diags);
        if (status != GML_OK) {
            gml_states_release(states);
            return status;
        }
    }
    *out_states = states;
    return GML_OK;
}

gml_states *gml_states_retain(gml_states *states)
{
    atomic_fetch_add_explicit(&states->refs, 1, memory_order_relaxed);
    return states;
}

void gml_states_release(gml_states *states)
{
    if (states == NULL ||
        atomic_fetch_sub_explicit(&states->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < states->count; i++) {
        gml_rvalue_reset(&states->values[i]);
        gml_rvalue_reset(&states->copies[i]);
    }
    gml_device_release(states->device);
    gml_arena_reset(&states->arena);
    free(states);
}

size_t gml_states_count(const gml_states *states)
{
    return states->count;
}

const char *gml_states_name(const gml_states *states, size_t index)
{
    return states->names[index];
}

gml_device *gml_states_device(const gml_states *states)
{
    return states->device;
}

gml_tensor gml_states_type(const gml_states *states, size_t index)
{
    gml_tensor type = states->values[index].tensor;
    type.data = NULL;
    return type;
}

gml_status gml_states_read(const gml_states *states, size_t index, gml_tensor *out_tensor,
                           gml_diags *diags)
{
    const gml_tensor *place = &states->values[index].tensor;
    gml_rvalue *copy = &states->copies[index];
    gml_loc loc = {.node = states->names[index], .op = "state"};
    size_t bytes = 0;
    *out_tensor = *place;
    if (states->device == NULL || !gml_tensor_bytes(place, &bytes))
        return GML_OK;
    if (copy->kind == GML_RVALUE_NONE &&
        gml_rvalue_alloc(copy, place->dtype, place->rank, place->dims) != GML_OK)
        return no_memory(bytes, loc, diags);
    *out_tensor = copy->tensor;
    return gml_device_get(states->device, copy->tensor.data, place->data, bytes, diags);
}

gml_status gml_states_set(gml_states *states, size_t index, const gml_tensor *tensor,
                          gml_loc loc, gml_diags *diags)
{
    const gml_tensor *place = &states->values[index].tensor;
    size_t bytes = 0;
    if (tensor->dtype != place->dtype || !is_same_shape(tensor, place))
        return gml_fail(diags, tensor->dtype != place->dtype ? GML_E_TYPE : GML_E_SHAPE, loc,
                        "is %s where the model has %s", type_text(tensor, diags->arena),
                        type_text(place, diags->arena));
    if (!gml_tensor_bytes(place, &bytes) || bytes == 0)
        return GML_OK;
    if (tensor->data == NULL)
        return gml_fail(diags, GML_E_USAGE, loc, "gets no elements");
    if (states->device != NULL)
        return gml_device_put(states->device, place->data, tensor->data, bytes, diags);
    memmove(place->data, tensor->data, bytes);
    return GML_OK;
}

bool gml_states_fit(const gml_states *states, const gml_state_port *ports, size_t n)
{
    if (states->count != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        const gml_tensor *initial = &ports[i].initial;
        const gml_tensor *place = &states->values[i].tensor;
        if (strcmp(states->names[i], ports[i].name) != 0)
            return false;
        /* what is not known now is checked when it was computed */
        if (initial->dtype != GML_NONE &&
            (initial->dtype != place->dtype || !is_same_shape(initial, place)))
            return false;
    }
    return true;
}

/* ---- running ------------------------------------------------------------------------------
 */

/* On a device the buffer says so. Parameters borrow it; results are reset. */
static gml_rvalue view_of(const gml_states *states, size_t index)
{
    gml_rvalue view = {.kind = GML_RVALUE_TENSOR, .tensor = states->values[index].tensor};
    view.buffer = states->device != NULL ? states->values[index].buffer : NULL;
    return view;
}

void gml_states_bind(const gml_states *states, const gml_state_port *ports, gml_rvalue *params,
                     gml_rvalue *results)
{
    for (size_t i = 0; i < states->count; i++) {
        if (ports[i].input != GML_NO_PORT)
            params[ports[i].input] = view_of(states, i);
        if (ports[i].output == GML_NO_PORT)
            continue;
        results[ports[i].output] = view_of(states, i);
        gml_buffer_retain(results[ports[i].output].buffer);
    }
}

static gml_status store(const gml_states *states, const gml_tensor *place,
                        const gml_rvalue *value, gml_diags *diags)
{
    gml_device *device = states->device;
    size_t bytes = 0;
    if (!gml_tensor_bytes(place, &bytes) || bytes == 0)
        return GML_OK;
    if (device != NULL && gml_buffer_device(value->buffer) == device)
        return gml_device_copy(device, place->data, value->tensor.data, bytes, diags);
    if (device != NULL)
        return gml_device_put(device, place->data, value->tensor.data, bytes, diags);
    memcpy(place->data, value->tensor.data, bytes);
    return GML_OK;
}

gml_status gml_states_store(const gml_states *states, const gml_state_port *ports,
                            const gml_rvalue *results, const char *file, gml_diags *diags)
{
    for (size_t i = 0; i < states->count; i++) {
        if (ports[i].output == GML_NO_PORT)
            continue;
        const gml_rvalue *value = &results[ports[i].output];
        const gml_tensor *place = &states->values[i].tensor;
        if (value->tensor.data == place->data)
            continue;
        if (value->kind != GML_RVALUE_TENSOR || value->tensor.dtype != place->dtype ||
            !is_same_shape(&value->tensor, place))
            return gml_fail(diags, GML_E_SHAPE,
                            (gml_loc){.file = file, .node = ports[i].name, .op = "state"},
                            "is %s and would become %s", type_text(place, diags->arena),
                            type_text(&value->tensor, diags->arena));
        GML_TRY(store(states, place, value, diags));
    }
    return GML_OK;
}

void gml_states_drop(const gml_states *states, const gml_state_port *ports, gml_rvalue *results)
{
    for (size_t i = 0; i < states->count; i++)
        if (ports[i].output != GML_NO_PORT)
            gml_rvalue_reset(&results[ports[i].output]);
}
