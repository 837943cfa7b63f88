/* runtime/exec_launch.c - a step of a program for a device: operands, then its phases, or all
 * its parts as one launch. */
#include "runtime/instance.h"

#include <string.h>

/* ---- launches -----------------------------------------------------------------------------
 */

static gml_status put_sizes(gml_instance *instance, gml_diags *diags)
{
    if (!instance->has_new_sizes)
        return GML_OK;
    size_t bytes = instance->program->dims.exprs.count * sizeof *instance->dims;
    GML_TRY(gml_device_put(instance->program->device, gml_buffer_data(instance->sizes),
                           instance->dims, bytes, diags));
    instance->has_new_sizes = false;
    return GML_OK;
}

/* Sets mems[] for all but the temporaries. */
static gml_status find_operands(gml_instance *instance, const gml_step *step, gml_diags *diags)
{
    for (uint32_t i = 0; i < step->n_inputs; i++) {
        uint32_t slot = step->inputs[i];
        void **mem = &instance->mems[gml_input_place(step, i)];
        *mem = NULL;
        if (slot == GML_NO_SLOT)
            continue;
        if (instance->program->slots.items[slot].kind == GML_SLOT_VALUE &&
            instance->values[slot].kind != GML_RVALUE_TENSOR)
            return gml_fail(diags, GML_E_TYPE, gml_step_loc(step), "operand %u is no tensor",
                            i);
        GML_TRY(gml_instance_there(instance, slot, mem, diags));
    }
    for (uint32_t i = 0; i < step->n_outputs; i++) {
        GML_TRY(gml_instance_ready(instance, step->outputs[i], gml_step_loc(step), diags));
        instance->mems[gml_output_place(step, i)] = instance->addresses[step->outputs[i]];
    }
    return GML_OK;
}

/* Issues a launch, or writes it down. */
static gml_status launch_phase(gml_instance *instance, const gml_step *step, uint32_t number,
                               int64_t units, size_t n_params, gml_diags *diags)
{
    const gml_device_kernel *kernel = &step->phases[number].kernel;
    if (instance->is_recording)
        return gml_device_graph_add(instance->graph, kernel, units, instance->params, n_params,
                                    diags);
    gml_status status =
        gml_device_launch(instance->program->device, kernel, units, instance->params, diags);
    if (status != GML_OK)
        gml_note(diags, "in phase %u of %s, of node %s", number,
                 step->name != NULL ? step->name : "a kernel",
                 step->node != NULL ? step->node : "?");
    return status;
}

static gml_status launch_phases(gml_instance *instance, const gml_step *step, gml_diags *diags)
{
    size_t n_mems = (size_t)step->n_inputs + step->n_outputs + step->n_temporaries;
    uint32_t map = instance->first_map[step - instance->program->steps.items];
    void *sizes = gml_buffer_data(instance->sizes);
    int64_t extent = 0;
    for (size_t i = 0; i < n_mems; i++)
        instance->params[i] = &instance->mems[i];
    instance->params[n_mems] = &sizes;
    instance->params[n_mems + 1] = &extent;
    for (uint32_t i = 0; i < step->n_phases; i++) {
        if (!gml_instance_dim(instance, step->phases[i].extent, &extent))
            return gml_fail(diags, GML_E_INTERNAL, gml_step_loc(step),
                            "the extent of phase %u is not known", i);
        if (extent > 0) /* there may be no map of nothing */
            GML_TRY(gml_instance_map(instance, step, i, n_mems + 2, &map, diags));
        else
            map += step->phases[i].launch.n_maps;
        GML_TRY(launch_phase(instance, step, i, extent,
                             n_mems + 2 + step->phases[i].launch.n_maps, diags));
    }
    return GML_OK;
}

/* ---- launches of parts --------------------------------------------------------------------
 */

/* Where in a table of parts things are, in bytes. */
typedef struct table_layout {
    size_t record; /* bytes of one; they come first */
    size_t sizes, blocks, end;
    int64_t n_blocks;
} table_layout;

static int64_t blocks_of(const gml_step *step, uint32_t part)
{
    int64_t per_block = step->phases[0].kernel.launch.per_block;
    return step->parts->units[part] / per_block + (step->parts->units[part] % per_block != 0);
}

static table_layout lay_out_table(const gml_step *step)
{
    const gml_part_sizes *parts = step->parts;
    size_t n_mems = ((size_t)step->n_inputs + step->n_outputs) / parts->count;
    table_layout l = {.record = sizeof(gml_record) + n_mems * sizeof(int64_t)};
    l.sizes = parts->count * l.record;
    l.blocks = l.sizes + (size_t)parts->count * parts->n_sizes * sizeof(int64_t);
    for (uint32_t i = 0; i < parts->count; i++)
        l.n_blocks += blocks_of(step, i);
    l.end = l.blocks + (size_t)l.n_blocks * sizeof(uint32_t);
    return l;
}

/* What does not change from run to run. */
static void fill_table(const gml_step *step, const table_layout *l, char *here,
                       const char *there)
{
    const gml_part_sizes *parts = step->parts;
    size_t size = parts->n_sizes * sizeof(int64_t);
    uint32_t *part_of = (uint32_t *)(void *)(here + l->blocks);
    int64_t first = 0;
    memcpy(here + l->sizes, parts->sizes, parts->count * size);
    for (uint32_t i = 0; i < parts->count; i++) {
        gml_record *record = (gml_record *)(void *)(here + i * l->record);
        record->first_block = first;
        record->n_blocks = blocks_of(step, i);
        record->dims = (int64_t)(uintptr_t)(there + l->sizes + i * size);
        for (int64_t k = 0; k < record->n_blocks; k++)
            part_of[first + k] = i;
        first += record->n_blocks;
    }
}

static gml_status make_table(gml_instance *instance, const gml_step *step,
                             const table_layout *l, gml_part_table *table, gml_diags *diags)
{
    GML_TRY(gml_instance_reserve(instance->program->device, &table->there, l->end, diags));
    GML_TRY(gml_instance_reserve(NULL, &table->here, l->end, diags));
    memset(gml_buffer_data(table->here), 0, l->end);
    fill_table(step, l, gml_buffer_data(table->here), gml_buffer_data(table->there));
    return GML_OK;
}

/* The table with mems[] in it, on the device; sent again when one has moved. */
static gml_status send_table(gml_instance *instance, const gml_step *step,
                             const table_layout *l, gml_part_table *table, gml_diags *diags)
{
    bool has_changed = table->here == NULL;
    if (has_changed)
        GML_TRY(make_table(instance, step, l, table, diags));
    char *here = gml_buffer_data(table->here);
    size_t n_mems = (l->record - sizeof(gml_record)) / sizeof(int64_t);
    for (uint32_t i = 0; i < step->parts->count; i++) {
        gml_record *record = (gml_record *)(void *)(here + i * l->record);
        for (size_t k = 0; k < n_mems; k++) {
            int64_t address = (int64_t)(uintptr_t)instance->mems[i * n_mems + k];
            has_changed |= record->mems[k] != address;
            record->mems[k] = address;
        }
    }
    if (!has_changed)
        return GML_OK;
    gml_status status = gml_device_put(instance->program->device, gml_buffer_data(table->there),
                                       here, l->end, diags);
    if (status != GML_OK) {
        gml_buffer_release(table->here); /* it says what did not arrive */
        table->here = NULL;
    }
    return status;
}

static gml_status launch_parts(gml_instance *instance, const gml_step *step, gml_diags *diags)
{
    size_t number = (size_t)(step - instance->program->steps.items);
    gml_part_table *table = &instance->tables_of_parts[number];
    table_layout l = lay_out_table(step);
    GML_TRY(send_table(instance, step, &l, table, diags));
    char *records = gml_buffer_data(table->there);
    char *blocks = records + l.blocks;
    int64_t units = l.n_blocks * step->phases[0].kernel.launch.per_block;
    instance->params[0] = &records;
    instance->params[1] = &blocks;
    instance->params[2] = &units;
    return launch_phase(instance, step, 0, units, 3, diags);
}

static gml_status launch(gml_instance *instance, const gml_step *step, gml_diags *diags)
{
    return step->parts != NULL ? launch_parts(instance, step, diags)
                               : launch_phases(instance, step, diags);
}

gml_status gml_instance_launch(gml_instance *instance, const gml_step *step, gml_diags *diags)
{
    gml_device *device = instance->program->device;
    char *scratch = NULL;
    size_t scratch_size = 0;
    instance->launched = 0;
    GML_TRY(find_operands(instance, step, diags));
    if (gml_instance_makes_nothing(instance, step))
        return GML_OK;
    GML_TRY(gml_instance_workspace(instance, step,
                                   instance->mems + step->n_inputs + step->n_outputs, &scratch,
                                   &scratch_size, diags));
    GML_TRY(put_sizes(instance, diags));
    if (instance->is_recording)
        gml_instance_touch(instance, step);
    if (instance->watch == NULL)
        return launch(instance, step, diags);
    GML_TRY(gml_device_clock_start(device, diags));
    GML_TRY(launch(instance, step, diags));
    return gml_device_clock_stop(device, &instance->launched, diags);
}
