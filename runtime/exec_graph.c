/* runtime/exec_graph.c - the launches of a run as one: a graph of the device.
 *
 * A program of kernels alone whose sizes were known when it was compiled launches the same in
 * every run, as long as the caller's memory is the same: the arena, constants and copies of
 * inputs stay where they are. So a second run that finds every address as in the one before
 * writes its launches down instead of issuing them, and from then on they are issued together.
 *
 * Each is written down with the memory that its step touches: it reads its inputs and writes
 * its outputs, a result that lies over an operand both, and its temporaries are its own while
 * it runs. What a device may run beside each other follows from that, used places of the arena
 * included. All phases of a step touch what the step does, so that they are a chain.
 */
#include "runtime/instance.h"

static bool is_recordable(const gml_instance *instance)
{
    const gml_program *program = instance->program;
    if (program->device == NULL || !program->is_static || instance->outer != NULL ||
        instance->has_open || instance->keeps_apart || instance->watch != NULL ||
        instance->watch_values != NULL)
        return false;
    for (size_t s = 0; s < program->steps.count; s++)
        if (program->steps.items[s].kind != GML_STEP_KERNEL)
            return false;
    /* a state that is not replaced in the caller's memory gets some in the run */
    for (size_t i = 0; i < program->slots.count; i++)
        if (program->slots.items[i].is_state && !instance->is_direct[i])
            return false;
    return true;
}

/* Addresses that a run depends on: those of inputs that kernels read, and of outputs that they
 * write in the caller's memory. Says whether they are what they were. */
static gml_status compare_addresses(gml_instance *instance, bool *out_same, gml_diags *diags)
{
    const gml_program *program = instance->program;
    void **last = instance->last_addresses;
    *out_same = true;
    for (uint32_t i = 0; i < program->n_inputs; i++, last++) {
        uint32_t slot = program->inputs[i];
        void *address = NULL;
        if (instance->there[slot].is_wanted)
            GML_TRY(gml_instance_there(instance, slot, &address, diags));
        *out_same = *out_same && address == *last;
        *last = address;
    }
    for (uint32_t i = 0; i < program->n_outputs; i++, last++) {
        uint32_t slot = program->outputs[i];
        void *address = instance->is_direct[slot] ? instance->addresses[slot] : NULL;
        *out_same = *out_same && address == *last;
        *last = address;
    }
    return GML_OK;
}

static void forget(gml_instance *instance)
{
    gml_device_graph_destroy(instance->graph);
    instance->graph = NULL;
}

/* ---- what a step touches ------------------------------------------------------------------
 */

static void touch(gml_instance *instance, const void *memory, uint64_t bytes, bool is_written)
{
    uint64_t start = (uint64_t)(uintptr_t)memory;
    gml_device_graph_touch(instance->graph, (gml_range){start, start + bytes, is_written});
}

static void touch_buffer(gml_instance *instance, const gml_buffer *buffer)
{
    if (buffer != NULL)
        touch(instance, gml_buffer_data(buffer), gml_buffer_size(buffer), false);
}

static void touch_slot(gml_instance *instance, uint32_t slot, const void *memory,
                       bool is_written)
{
    size_t bytes = 0;
    if (slot == GML_NO_SLOT)
        return;
    gml_rvalue view = gml_instance_view(instance, slot);
    if (view.kind == GML_RVALUE_TENSOR && gml_tensor_bytes(&view.tensor, &bytes))
        touch(instance, memory, bytes, is_written);
    else
        gml_device_graph_touch(instance->graph, GML_EVERYWHERE);
}

void gml_instance_touch(gml_instance *instance, const gml_step *step)
{
    size_t number = (size_t)(step - instance->program->steps.items);
    void *const *temporaries = instance->mems + step->n_inputs + step->n_outputs;
    gml_device_graph_touch_none(instance->graph);
    touch_buffer(instance, instance->sizes);
    touch_buffer(instance, instance->tables_of_parts[number].there);
    for (uint32_t i = 0; i < step->n_inputs; i++)
        touch_slot(instance, step->inputs[i], instance->mems[gml_input_place(step, i)], false);
    for (uint32_t i = 0; i < step->n_outputs; i++)
        touch_slot(instance, step->outputs[i], instance->mems[gml_output_place(step, i)], true);
    for (uint32_t i = 0; i < step->n_temporaries; i++) {
        int64_t bytes = 0;
        if (gml_instance_dim(instance, step->temporaries[i], &bytes))
            touch(instance, temporaries[i], (uint64_t)bytes, true);
        else
            gml_device_graph_touch(instance->graph, GML_EVERYWHERE);
    }
}

/* ---- the graph ----------------------------------------------------------------------------
 */

static gml_status record(gml_instance *instance, gml_diags *diags)
{
    const gml_program *program = instance->program;
    GML_TRY(gml_device_graph_create(program->device, &instance->graph, diags));
    instance->is_recording = true;
    gml_status status = GML_OK;
    for (size_t s = 0; s < program->steps.count && status == GML_OK; s++)
        status = gml_instance_launch(instance, &program->steps.items[s], diags);
    instance->is_recording = false;
    if (status == GML_OK)
        status = gml_device_graph_finish(instance->graph, diags);
    if (status != GML_OK)
        forget(instance);
    return status;
}

gml_status gml_instance_run_graph(gml_instance *instance, bool *out_done, gml_diags *diags)
{
    bool is_same = false;
    *out_done = false;
    if (!is_recordable(instance))
        return GML_OK;
    GML_TRY(compare_addresses(instance, &is_same, diags));
    if (!is_same || !instance->has_run) {
        forget(instance);
        instance->has_run = true;
        return GML_OK;
    }
    if (instance->graph == NULL)
        GML_TRY(record(instance, diags));
    *out_done = true;
    return gml_device_graph_issue(instance->graph, diags);
}
