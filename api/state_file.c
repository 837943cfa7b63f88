/* api/state_file.c - a model's states as a file of safetensors. */
#include "api/state_file.h"

#include "api/source.h"

#include <string.h>

static gml_status load_state(const gml_safetensor *item, const gml_tensor *place, gml_loc loc,
                             gml_diags *diags)
{
    const gml_tensor *tensor = &item->tensor;
    if (tensor->dtype != place->dtype || tensor->rank != place->rank ||
        (place->rank != 0 &&
         memcmp(tensor->dims, place->dims, (size_t)place->rank * sizeof *place->dims) != 0))
        return gml_fail(diags, GML_E_SHAPE, loc, "the file has %s where the model has %s",
                        gml_tensor_text(tensor, diags->arena),
                        gml_tensor_text(place, diags->arena));
    if (item->size != 0)
        memcpy(place->data, tensor->data, (size_t)item->size);
    return GML_OK;
}

gml_safetensor *gml_states_items(const gml_states *states, gml_arena *arena)
{
    size_t n = gml_states_count(states);
    gml_safetensor *items = gml_new_array(arena, gml_safetensor, n + 1);
    for (size_t i = 0; i < n; i++)
        items[i] = (gml_safetensor){.name = gml_states_name(states, i),
                                    .tensor = gml_states_tensor(states, i)};
    return items;
}

gml_status gml_states_save(const char *path, const gml_states *states, gml_diags *diags)
{
    gml_arena arena;
    gml_arena_init(&arena);
    gml_status status = gml_safetensors_write(path, gml_states_items(states, &arena),
                                              gml_states_count(states), NULL, 0, diags);
    gml_arena_reset(&arena);
    return status;
}

gml_status gml_states_take(const gml_safetensors *file, gml_states *states, gml_diags *diags)
{
    for (size_t i = 0; i < gml_states_count(states); i++) {
        const char *name = gml_states_name(states, i);
        const gml_safetensor *item = gml_safetensors_find(file, name);
        gml_tensor place = gml_states_tensor(states, i);
        gml_loc loc = {.file = file->path, .node = name};
        GML_TRY(item != NULL ? load_state(item, &place, loc, diags)
                             : gml_fail(diags, GML_E_INVALID, loc, "is not in the file"));
    }
    return GML_OK;
}

gml_status gml_states_load(const char *path, gml_states *states, gml_diags *diags)
{
    gml_safetensors file;
    GML_TRY(gml_safetensors_open(path, &file, diags));
    gml_status status = gml_states_take(&file, states, diags);
    gml_safetensors_close(&file);
    return status;
}
