/* runtime/exec_output.c - what the caller gets.
 *
 * An output whose entry has a fitting tensor ends up in that memory: computed there where
 * nothing is in the way, copied there after the last step otherwise. The caller may hand in the
 * inputs' own memory (a training step's state), so whatever is read last is brought to safety
 * first. */
#include "runtime/instance.h"

#include <string.h>

static bool overlaps(const void *a, size_t n_a, const void *b, size_t n_b)
{
    uintptr_t start_a = (uintptr_t)a;
    uintptr_t start_b = (uintptr_t)b;
    return n_a != 0 && n_b != 0 && start_a < start_b + n_b && start_b < start_a + n_a;
}

static bool value_overlaps(const gml_rvalue *value, const void *memory, size_t size)
{
    size_t bytes = 0;
    for (size_t i = 0; i < value->n_items; i++) {
        if (value_overlaps(&value->items[i], memory, size))
            return true;
    }
    return value->kind == GML_RVALUE_TENSOR && gml_tensor_bytes(&value->tensor, &bytes) &&
           overlaps(value->tensor.data, bytes, memory, size);
}

/* True when the caller's `entry` is a place for a tensor of `shape`. A view of the arena is
 * none. */
static bool is_place(const gml_instance *instance, const gml_rvalue *entry,
                     const gml_tensor *shape, size_t bytes)
{
    const gml_tensor *tensor = &entry->tensor;
    if (entry->kind != GML_RVALUE_TENSOR || shape->dtype == GML_STRING ||
        tensor->dtype != shape->dtype || tensor->rank != shape->rank)
        return false;
    const gml_device *device = gml_buffer_device(entry->buffer);
    if (device != NULL && device != instance->program->device)
        return false;
    for (int i = 0; i < shape->rank; i++) {
        if (tensor->dims[i] != shape->dims[i])
            return false;
    }
    if (bytes == 0)
        return true;
    if (tensor->data == NULL || (instance->arena != NULL &&
                                 overlaps(tensor->data, bytes, gml_buffer_data(instance->arena),
                                          gml_buffer_size(instance->arena))))
        return false;
    if (entry->buffer == NULL)
        return true;
    uintptr_t start = (uintptr_t)gml_buffer_data(entry->buffer);
    uintptr_t data = (uintptr_t)tensor->data;
    size_t size = gml_buffer_size(entry->buffer);
    return data >= start && size >= bytes && data - start <= size - bytes;
}

/* Output `slot` is computed over input `input`, in the very same memory. */
static bool lies_over(const gml_instance *instance, uint32_t slot, uint32_t input,
                      const void *memory, size_t bytes)
{
    const gml_program *program = instance->program;
    const gml_step *step = &program->steps.items[instance->live.first[slot]];
    const gml_rvalue *value = &instance->values[input];
    size_t size = 0;
    if (value->kind != GML_RVALUE_TENSOR || value->tensor.data != memory ||
        !gml_tensor_bytes(&value->tensor, &size) || size != bytes)
        return false;
    for (uint32_t o = 0; o < step->n_outputs; o++)
        for (uint32_t i = 0; i < step->n_inputs && step->outputs[o] == slot; i++)
            if (step->inputs[i] == input)
                return gml_may_lie_over(step, o, i);
    return false;
}

/* ---- Before the steps ------------------------------------------------------------------- */

static bool is_in_the_way(const gml_instance *instance, const gml_rvalue *outputs,
                          uint32_t output, size_t bytes)
{
    const gml_program *program = instance->program;
    const void *memory = outputs[output].tensor.data;
    uint32_t born = instance->live.first[program->outputs[output]];
    for (uint32_t i = 0; i < program->n_inputs; i++) {
        uint32_t slot = program->inputs[i];
        if (instance->live.last[slot] < born ||
            !value_overlaps(&instance->values[slot], memory, bytes))
            continue;
        if (instance->live.last[slot] != born ||
            !lies_over(instance, program->outputs[output], slot, memory, bytes))
            return true;
    }
    for (uint32_t i = 0; i < program->n_outputs; i++) {
        if (i != output && value_overlaps(&outputs[i], memory, bytes))
            return true;
    }
    return false;
}

void gml_instance_direct(gml_instance *instance, const gml_rvalue *outputs)
{
    const gml_program *program = instance->program;
    for (uint32_t i = 0; i < program->n_outputs; i++)
        instance->is_direct[program->outputs[i]] = false;
    if (instance->outer != NULL)
        return;
    for (uint32_t i = 0; i < program->n_outputs; i++) {
        uint32_t slot = program->outputs[i];
        gml_tensor shape;
        size_t bytes = 0;
        if (program->slots.items[slot].kind != GML_SLOT_ARENA || instance->is_direct[slot] ||
            !gml_instance_shape(instance, slot, &shape) || !gml_tensor_bytes(&shape, &bytes) ||
            bytes == 0 || !is_place(instance, &outputs[i], &shape, bytes) ||
            gml_buffer_device(outputs[i].buffer) != program->device ||
            (uintptr_t)outputs[i].tensor.data % GML_ALIGN != 0 ||
            is_in_the_way(instance, outputs, i, bytes))
            continue;
        instance->is_direct[slot] = true;
        instance->addresses[slot] = outputs[i].tensor.data;
    }
}

/* ---- After the steps -------------------------------------------------------------------- */

static bool is_input(const gml_instance *instance, uint32_t output)
{
    const gml_program *program = instance->program;
    return program->slots.items[program->outputs[output]].kind == GML_SLOT_INPUT;
}

static bool is_borrowed(const gml_instance *instance, const gml_rvalue *value)
{
    return value->buffer == instance->marker ||
           (value->buffer != NULL && value->buffer == instance->remote);
}

/* Outputs that are inputs, and would be overwritten before they are copied. */
static gml_status save_inputs(gml_instance *instance, const gml_rvalue *outputs,
                              gml_diags *diags)
{
    const gml_program *program = instance->program;
    for (uint32_t i = 0; i < program->n_outputs; i++) {
        gml_rvalue *value = &instance->values[program->outputs[i]];
        size_t bytes = 0;
        if (!is_input(instance, i) || value->kind != GML_RVALUE_TENSOR ||
            !is_borrowed(instance, value) || !gml_tensor_bytes(&value->tensor, &bytes))
            continue;
        for (uint32_t j = 0; j < program->n_outputs; j++) {
            if (j == i || !value_overlaps(&outputs[j], value->tensor.data, bytes))
                continue;
            gml_buffer_retain(value->buffer); /* the copy gives it up */
            GML_TRY(gml_rvalue_to_host(value, diags));
            GML_TRY(gml_rvalue_own(value, instance->marker));
            break;
        }
    }
    return GML_OK;
}

static void drop_saved_inputs(gml_instance *instance)
{
    const gml_program *program = instance->program;
    for (uint32_t i = 0; i < program->n_outputs; i++) {
        gml_rvalue *value = &instance->values[program->outputs[i]];
        if (is_input(instance, i) && value->kind == GML_RVALUE_TENSOR &&
            !is_borrowed(instance, value))
            gml_rvalue_reset(value);
    }
}

/* A value for an entry without a place of its own. */
static gml_status make_result(gml_instance *instance, uint32_t slot, gml_rvalue *out,
                              gml_diags *diags)
{
    gml_rvalue view;
    GML_TRY(gml_instance_here(instance, slot, &view, diags));
    gml_slot_kind kind = instance->program->slots.items[slot].kind;
    bool is_inner = instance->outer != NULL;
    bool is_view = !is_inner && kind == GML_SLOT_ARENA && view.buffer == instance->marker;
    if (is_view)
        view.buffer = NULL;
    GML_TRY(gml_rvalue_copy(out, &view));
    if (is_inner) /* what was copied from a device */
        return gml_rvalue_own(out, instance->marker);
    if (is_view || kind == GML_SLOT_CONSTANT)
        return GML_OK;
    /* Nothing of the caller's, and no constant, in what he is to own. */
    GML_TRY(gml_rvalue_own(out, instance->marker));
    return gml_rvalue_own(out, NULL);
}

static gml_status make_results(gml_instance *instance, const gml_rvalue *outputs,
                               gml_diags *diags)
{
    const gml_program *program = instance->program;
    for (uint32_t i = 0; i < program->n_outputs; i++) {
        uint32_t slot = program->outputs[i];
        gml_rvalue view = gml_instance_view(instance, slot);
        size_t bytes = 0;
        instance->in_place[i] = false;
        instance->results[i] = (gml_rvalue){0};
        if (view.kind == GML_RVALUE_TENSOR && gml_tensor_bytes(&view.tensor, &bytes))
            instance->in_place[i] = is_place(instance, &outputs[i], &view.tensor, bytes);
        if (!instance->in_place[i])
            GML_TRY(make_result(instance, slot, &instance->results[i], diags));
        else if (bytes == 0 || outputs[i].tensor.data == view.tensor.data)
            continue;
        else if (program->device != NULL)
            GML_TRY(gml_instance_deliver(instance, slot, &outputs[i], diags));
        else
            memmove(outputs[i].tensor.data, view.tensor.data, bytes);
    }
    return GML_OK;
}

gml_status gml_instance_finish(gml_instance *instance, gml_rvalue *outputs, gml_diags *diags)
{
    const gml_program *program = instance->program;
    for (uint32_t i = 0; i < program->n_outputs; i++)
        instance->results[i] = (gml_rvalue){0};
    bool is_outermost = instance->outer == NULL;
    size_t n_diags = diags->list.count;
    gml_status status = is_outermost ? save_inputs(instance, outputs, diags) : GML_OK;
    if (status == GML_OK)
        status = make_results(instance, outputs, diags);
    for (uint32_t i = 0; i < program->n_outputs; i++) {
        if (status != GML_OK) {
            gml_rvalue_reset(&instance->results[i]);
        } else if (!instance->in_place[i]) {
            gml_rvalue_reset(&outputs[i]);
            outputs[i] = instance->results[i];
        }
    }
    if (is_outermost)
        drop_saved_inputs(instance);
    if (status != GML_OK && diags->list.count == n_diags)
        return gml_fail(diags, status, (gml_loc){0}, "no memory for the results");
    return status;
}
