/* api/states_save.c - states as a file from which a network can be made. */
#include "api/safetensors.h"
#include "api/session.h"
#include "api/states.h"
#include "api/weights.h"
#include "weights/elements.h"

#include <string.h>

typedef struct saving {
    gml_arena arena;
    gml_vec(gml_safetensor) tensors;
    gml_vec(gml_safetensors_text) texts;
    gml_map names; /* of the tensors */
} saving;

static void add_tensor(saving *s, const char *name, const gml_tensor *tensor)
{
    gml_safetensor item = {.name = name, .tensor = *tensor};
    gml_push(&s->arena, &s->tensors, item);
    gml_map_set(&s->names, name, s);
}

static bool is_weight(const gml_initialiser *item)
{
    return *item->name != '\0' && gml_elements_allow(item->tensor.dtype) &&
           gml_tensor_numel(&item->tensor) > 1;
}

/* What is in the model's file and does not change. */
static void add_rest(saving *s, const gml_initialisers *file)
{
    for (size_t i = 0; i < file->list.count; i++) {
        const gml_initialiser *item = &file->list.items[i];
        if (is_weight(item) && !gml_map_has(&s->names, item->name))
            add_tensor(s, item->name, &item->tensor);
    }
    for (size_t i = 0; i < file->metadata.count; i++) {
        const gml_metadata *entry = &file->metadata.items[i];
        gml_safetensors_text text = {entry->key, entry->value};
        if (strncmp(entry->key, GML_OWN_KEYS, strlen(GML_OWN_KEYS)) == 0)
            gml_push(&s->arena, &s->texts, text);
    }
}

static gml_status save(saving *s, const gml_model *model, const gml_states *states,
                       const char *path, gml_diags *diags)
{
    const gml_source *source = gml_model_source(model);
    gml_initialisers file = {.module = NULL};
    for (size_t i = 0; i < gml_states_count(states); i++) {
        gml_tensor tensor = gml_states_tensor(states, i);
        add_tensor(s, gml_states_name(states, i), &tensor);
    }
    if (source->path != NULL && gml_source_is_onnx(source)) {
        GML_TRY(gml_onnx_initialisers(source->path, &file, diags));
        add_rest(s, &file);
    }
    gml_status status = gml_safetensors_write(path, s->tensors.items, s->tensors.count,
                                              s->texts.items, s->texts.count, diags);
    if (file.module != NULL)
        gml_module_destroy(file.module);
    return status;
}

gml_status gml_states_save(const gml_model *model, const gml_states *states, const char *path,
                           gml_diags *diags)
{
    saving s = {.tensors = {NULL}};
    gml_arena_init(&s.arena);
    gml_map_init(&s.names, &s.arena);
    gml_status status = save(&s, model, states, path, diags);
    gml_arena_reset(&s.arena);
    return status;
}
