/* runtime/exec_device.c - kernels on a device, and what has to be copied for them.
 *
 * A slot lies on one side: on the device if it is in the arena, or an input whose buffer is
 * there; here otherwise. Who wants it on the other side, be it a kernel, a host operator, a
 * watch or the caller, gets a copy, which is made once in a run. Constants that kernels read
 * are the program's, and go up with its first instance.
 *
 * Captures of a region are handed in as they lie; what a region gives is here. */
#include "runtime/instance.h"

#include <pthread.h>
#include <string.h>

/* ---- constants ----------------------------------------------------------------------------
 */

static bool is_constant(const gml_program *program, uint32_t slot)
{
    return slot != GML_NO_SLOT && program->slots.items[slot].kind == GML_SLOT_CONSTANT;
}

static size_t constant_size(const gml_slot *slot)
{
    gml_tensor tensor = {.dtype = slot->dtype, .rank = slot->rank};
    size_t bytes = 0;
    for (int i = 0; i < slot->rank; i++)
        tensor.dims[i] = slot->dims[i];
    return gml_tensor_bytes(&tensor, &bytes) ? bytes : 0;
}

/* Gives each constant that a kernel reads a place. */
static uint64_t place_constants(gml_program *program)
{
    uint64_t size = 0;
    uint64_t *offsets = gml_new_array(&program->arena, uint64_t, program->slots.count + 1);
    for (size_t i = 0; i < program->slots.count; i++)
        offsets[i] = GML_APART;
    for (size_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        for (uint32_t i = 0; step->kind == GML_STEP_KERNEL && i < step->n_inputs; i++) {
            uint32_t slot = step->inputs[i];
            if (!is_constant(program, slot) || offsets[slot] != GML_APART)
                continue;
            offsets[slot] = size;
            size += gml_align_up(constant_size(&program->slots.items[slot]));
        }
    }
    program->constant_offsets = offsets;
    return size;
}

static gml_status put_constants(gml_program *program, gml_diags *diags)
{
    uint64_t size = place_constants(program);
    gml_buffer *buffer = gml_buffer_create_on(program->device, (size_t)size);
    if (buffer == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0},
                        "no memory on the device for %llu bytes of constants",
                        (unsigned long long)size);
    gml_status status = GML_OK;
    for (size_t i = 0; i < program->slots.count && status == GML_OK; i++) {
        const gml_slot *slot = &program->slots.items[i];
        if (program->constant_offsets[i] != GML_APART)
            status = gml_device_put(
                program->device, (char *)gml_buffer_data(buffer) + program->constant_offsets[i],
                slot->data, constant_size(slot), diags);
    }
    if (status == GML_OK)
        program->constants = buffer;
    else
        gml_buffer_release(buffer);
    return status;
}

/* Instances may be made by several threads. */
static gml_status share_constants(gml_program *program, gml_diags *diags)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    gml_status status = program->constants == NULL ? put_constants(program, diags) : GML_OK;
    pthread_mutex_unlock(&mutex);
    return status;
}

/* ---- life ---------------------------------------------------------------------------------
 */

gml_status gml_instance_open_device(gml_instance *instance, gml_diags *diags)
{
    gml_program *program = instance->program;
    instance->has_new_sizes = true;
    for (size_t s = 0; s < program->steps.count; s++) {
        const gml_step *step = &program->steps.items[s];
        for (uint32_t i = 0; step->kind == GML_STEP_KERNEL && i < step->n_inputs; i++)
            if (step->inputs[i] != GML_NO_SLOT)
                instance->there[step->inputs[i]].is_wanted = true;
    }
    instance->remote = gml_buffer_create_on(program->device, 0);
    if (instance->remote == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no memory for an instance");
    GML_TRY(share_constants(program, diags));
    return gml_instance_reserve(program->device, &instance->sizes,
                                program->dims.exprs.count * sizeof *instance->dims, diags);
}

void gml_instance_close_device(gml_instance *instance)
{
    for (size_t i = 0; i < instance->program->slots.count; i++) {
        gml_buffer_release(instance->here[i].buffer);
        gml_buffer_release(instance->there[i].buffer);
    }
    gml_device_graph_destroy(instance->graph);
    for (size_t s = 0; s < instance->program->steps.count; s++) {
        gml_buffer_release(instance->tables_of_parts[s].here);
        gml_buffer_release(instance->tables_of_parts[s].there);
    }
    gml_buffer_release(instance->sizes);
    gml_buffer_release(instance->remote);
}

/* ---- copies -------------------------------------------------------------------------------
 */

static bool lies_there(const gml_instance *instance, uint32_t slot)
{
    gml_slot_kind kind = instance->program->slots.items[slot].kind;
    return kind == GML_SLOT_ARENA ||
           (kind == GML_SLOT_INPUT && gml_buffer_device(instance->values[slot].buffer) != NULL);
}

gml_status gml_instance_here(gml_instance *instance, uint32_t slot, gml_rvalue *out_view,
                             gml_diags *diags)
{
    gml_device *device = instance->program->device;
    *out_view = gml_instance_view(instance, slot);
    if (device == NULL || !lies_there(instance, slot) || out_view->kind != GML_RVALUE_TENSOR)
        return GML_OK;
    gml_copy *copy = &instance->here[slot];
    size_t bytes = 0;
    if (!gml_tensor_bytes(&out_view->tensor, &bytes))
        return gml_fail(diags, GML_E_SHAPE, (gml_loc){0}, "a value's size does not fit");
    if (!copy->is_made) {
        GML_TRY(gml_instance_reserve(NULL, &copy->buffer, bytes, diags));
        GML_TRY(gml_device_get(device, gml_buffer_data(copy->buffer), out_view->tensor.data,
                               bytes, diags));
        copy->is_made = true;
    }
    out_view->tensor.data = gml_buffer_data(copy->buffer);
    out_view->buffer = instance->marker;
    return GML_OK;
}

/* What the caller has there may be less aligned than kernels take for granted. */
gml_status gml_instance_there(gml_instance *instance, uint32_t slot, void **out_address,
                              gml_diags *diags)
{
    gml_program *program = instance->program;
    gml_device *device = program->device;
    bool is_there = lies_there(instance, slot);
    if (is_constant(program, slot)) {
        *out_address =
            (char *)gml_buffer_data(program->constants) + program->constant_offsets[slot];
        return GML_OK;
    }
    *out_address = instance->addresses[slot];
    if (is_there && (uintptr_t)*out_address % GML_ALIGN == 0)
        return GML_OK;
    const gml_tensor *tensor = &instance->values[slot].tensor;
    gml_copy *copy = &instance->there[slot];
    size_t bytes = 0;
    if (!gml_tensor_bytes(tensor, &bytes))
        return gml_fail(diags, GML_E_SHAPE, (gml_loc){0}, "a value's size does not fit");
    if (!copy->is_made) {
        GML_TRY(gml_instance_reserve(device, &copy->buffer, bytes, diags));
        void *to = gml_buffer_data(copy->buffer);
        GML_TRY(is_there ? gml_device_copy(device, to, tensor->data, bytes, diags)
                         : gml_device_put(device, to, tensor->data, bytes, diags));
        copy->is_made = true;
    }
    *out_address = gml_buffer_data(copy->buffer);
    return GML_OK;
}

gml_status gml_instance_send_inputs(gml_instance *instance, gml_diags *diags)
{
    const gml_program *program = instance->program;
    for (size_t i = 0; i < program->slots.count; i++) {
        instance->here[i].is_made = false;
        instance->there[i].is_made = false;
    }
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        uint32_t slot = program->inputs[i];
        void *address = NULL;
        if (instance->there[slot].is_wanted)
            GML_TRY(gml_instance_there(instance, slot, &address, diags));
    }
    return GML_OK;
}

static bool overlap(const char *a, const char *b, size_t bytes)
{
    uintptr_t start_a = (uintptr_t)a;
    uintptr_t start_b = (uintptr_t)b;
    return start_a < start_b + bytes && start_b < start_a + bytes;
}

gml_status gml_instance_deliver(gml_instance *instance, uint32_t slot, const gml_rvalue *target,
                                gml_diags *diags)
{
    gml_device *device = instance->program->device;
    gml_rvalue view = gml_instance_view(instance, slot);
    bool is_there = lies_there(instance, slot);
    bool goes_there = gml_buffer_device(target->buffer) != NULL;
    size_t bytes = 0;
    (void)gml_tensor_bytes(&target->tensor, &bytes);
    if (is_there && !goes_there)
        return gml_device_get(device, target->tensor.data, view.tensor.data, bytes, diags);
    if (is_there && !overlap(view.tensor.data, target->tensor.data, bytes))
        return gml_device_copy(device, target->tensor.data, view.tensor.data, bytes, diags);
    GML_TRY(gml_instance_here(instance, slot, &view, diags));
    if (goes_there)
        return gml_device_put(device, target->tensor.data, view.tensor.data, bytes, diags);
    memmove(target->tensor.data, view.tensor.data, bytes);
    return GML_OK;
}
