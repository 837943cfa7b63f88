/* api/states_write.c - states as a file from which a network can be made. */
#include "api/session.h"
#include "api/states.h"
#include "api/weights.h"
#include "weights/elements.h"

#include <string.h>

static void add_tensor(gml_state_list *list, const char *name, const gml_tensor *tensor)
{
    gml_safetensor item = {.name = name, .tensor = *tensor};
    gml_push(&list->arena, &list->tensors, item);
}

static bool is_weight(const gml_initialiser *item)
{
    return *item->name != '\0' && gml_elements_allow(item->tensor.dtype) &&
           gml_tensor_numel(&item->tensor) > 1;
}

/* What is in the model's file and does not change. */
static void add_rest(gml_state_list *list, const gml_initialisers *file)
{
    gml_map names;
    gml_map_init(&names, &list->arena);
    for (size_t i = 0; i < list->tensors.count; i++)
        gml_map_set(&names, list->tensors.items[i].name, list);
    for (size_t i = 0; i < file->list.count; i++) {
        const gml_initialiser *item = &file->list.items[i];
        if (is_weight(item) && !gml_map_has(&names, item->name))
            add_tensor(list, item->name, &item->tensor);
    }
    for (size_t i = 0; i < file->metadata.count; i++) {
        const gml_onnx_metadata *entry = &file->metadata.items[i];
        gml_safetensors_text text = {entry->key, entry->value};
        if (strncmp(entry->key, GML_OWN_KEYS, strlen(GML_OWN_KEYS)) == 0)
            gml_push(&list->arena, &list->texts, text);
    }
}

gml_status gml_state_list_make(const gml_model *model, const gml_states *states,
                               gml_state_list *out_list, gml_diags *diags)
{
    const gml_source *source = gml_model_source(model);
    gml_initialisers file = {.module = NULL};
    if (source->path != NULL && gml_source_is_onnx(source))
        GML_TRY(gml_onnx_initialisers(source->path, &file, diags));
    *out_list = (gml_state_list){.file = file.module};
    gml_arena_init(&out_list->arena);
    for (size_t i = 0; i < gml_states_count(states); i++) {
        gml_tensor tensor = gml_states_tensor(states, i);
        add_tensor(out_list, gml_states_name(states, i), &tensor);
    }
    if (file.module != NULL)
        add_rest(out_list, &file);
    return GML_OK;
}

void gml_state_list_reset(gml_state_list *list)
{
    if (list->file != NULL)
        gml_module_destroy(list->file);
    gml_arena_reset(&list->arena);
}

gml_status gml_states_write(const gml_model *model, const gml_states *states, const char *path,
                            gml_diags *diags)
{
    gml_state_list list;
    GML_TRY(gml_state_list_make(model, states, &list, diags));
    gml_status status = gml_safetensors_write(path, list.tensors.items, list.tensors.count,
                                              list.texts.items, list.texts.count, diags);
    gml_state_list_reset(&list);
    return status;
}
