/* api/state_file.c - a model's states as a file of safetensors. */
#include "api/state_file.h"

#include "api/source.h"
#include "api/weights.h"
#include "weights/elements.h"

#include <string.h>

/* ---- writing ------------------------------------------------------------------------------
 */

static void add_tensor(gml_state_file *file, gml_map *names, const char *name,
                       const gml_tensor *tensor)
{
    gml_safetensor item = {.name = name, .tensor = *tensor};
    gml_push(&file->arena, &file->items, item);
    gml_map_set(names, name, file);
}

static bool is_weight(const gml_initialiser *item)
{
    return *item->name != '\0' && gml_elements_allow(item->tensor.dtype) &&
           gml_tensor_numel(&item->tensor) > 1;
}

/* What is in the model's file and does not change. */
static void add_rest(gml_state_file *file, gml_map *names)
{
    for (size_t i = 0; i < file->rest.list.count; i++) {
        const gml_initialiser *item = &file->rest.list.items[i];
        if (is_weight(item) && !gml_map_has(names, item->name))
            add_tensor(file, names, item->name, &item->tensor);
    }
    for (size_t i = 0; i < file->rest.module->metadata.count; i++) {
        const gml_metadata *entry = &file->rest.module->metadata.items[i];
        gml_safetensors_text text = {entry->key, entry->value};
        if (strncmp(entry->key, GML_OWN_KEYS, strlen(GML_OWN_KEYS)) == 0)
            gml_push(&file->arena, &file->texts, text);
    }
}

gml_status gml_state_file_make(gml_state_file *file, const gml_model *model,
                               const gml_states *states, gml_diags *diags)
{
    const gml_source *source = gml_model_source(model);
    gml_map names;
    *file = (gml_state_file){.rest = {.module = NULL}};
    gml_arena_init(&file->arena);
    gml_map_init(&names, &file->arena);
    for (size_t i = 0; i < gml_states_count(states); i++) {
        gml_tensor tensor;
        GML_TRY(gml_states_read(states, i, &tensor, diags));
        add_tensor(file, &names, gml_states_name(states, i), &tensor);
    }
    if (!gml_source_is_onnx(source))
        return GML_OK;
    GML_TRY(gml_onnx_initialisers_wrap(source->bytes, source->len, source->path, source->folder,
                                       &file->rest, diags));
    add_rest(file, &names);
    return GML_OK;
}

void gml_state_file_reset(gml_state_file *file)
{
    if (file->rest.module != NULL)
        gml_module_destroy(file->rest.module);
    gml_arena_reset(&file->arena);
}

gml_status gml_states_save(const gml_model *model, const gml_states *states, const char *path,
                           gml_diags *diags)
{
    gml_state_file file;
    gml_status status = gml_state_file_make(&file, model, states, diags);
    if (status == GML_OK)
        status = gml_safetensors_write(path, file.items.items, file.items.count,
                                       file.texts.items, file.texts.count, diags);
    gml_state_file_reset(&file);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------
 */

static gml_status load_state(const gml_safetensor *item, gml_states *states, size_t index,
                             gml_loc loc, gml_diags *diags)
{
    const gml_tensor *tensor = &item->tensor;
    const gml_tensor type = gml_states_type(states, index);
    const gml_tensor *place = &type;
    if (tensor->dtype != place->dtype || tensor->rank != place->rank ||
        (place->rank != 0 &&
         memcmp(tensor->dims, place->dims, (size_t)place->rank * sizeof *place->dims) != 0))
        return gml_fail(diags, GML_E_SHAPE, loc, "the file has %s where the model has %s",
                        gml_tensor_text(tensor, diags->arena),
                        gml_tensor_text(place, diags->arena));
    return gml_states_set(states, index, tensor, loc, diags);
}

gml_status gml_states_take(const gml_safetensors *file, gml_states *states, gml_diags *diags)
{
    for (size_t i = 0; i < gml_states_count(states); i++) {
        const char *name = gml_states_name(states, i);
        const gml_safetensor *item = gml_safetensors_find(file, name);
        gml_loc loc = {.file = file->path, .node = name};
        GML_TRY(item != NULL ? load_state(item, states, i, loc, diags)
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
