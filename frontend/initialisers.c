/* frontend/initialisers.c - the initialisers of an ONNX model, without its graph. */
#include "frontend/initialisers.h"

#include "base/file.h"
#include "frontend/tensor.h"
#include "frontend/wire.h"

#include <string.h>

typedef struct reading {
    gml_initialisers *out;
    gml_tensor_reader tensors;
    gml_diags *diags;
} reading;

static const char *keep(reading *r, const char *text)
{
    return text != NULL ? gml_arena_text(&r->out->module->arena, text, strlen(text)) : "";
}

static void read_metadata(reading *r, const Onnx__ModelProto *model)
{
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = model->metadata_props[i];
        gml_onnx_metadata item = {keep(r, entry->key), keep(r, entry->value)};
        gml_push(&r->out->module->arena, &r->out->metadata, item);
    }
}

static gml_status read_graph(reading *r, const Onnx__GraphProto *graph)
{
    gml_arena *arena = &r->out->module->arena;
    for (size_t i = 0; i < graph->n_initializer; i++) {
        gml_initialiser item = {.name = keep(r, graph->initializer[i]->name)};
        gml_loc loc = {.file = r->out->module->file, .node = item.name};
        GML_TRY(gml_tensor_read(&r->tensors, graph->initializer[i], loc, &item.tensor));
        gml_push(arena, &r->out->list, item);
    }
    for (size_t i = 0; i < graph->n_sparse_initializer; i++) {
        const Onnx__TensorProto *values = graph->sparse_initializer[i]->values;
        gml_initialiser item = {.name = keep(r, values != NULL ? values->name : NULL)};
        gml_push(arena, &r->out->list, item);
    }
    return GML_OK;
}

static gml_status read_model(reading *r, const gml_file *file, gml_arena *scratch)
{
    gml_loc loc = {.file = r->out->module->file};
    const ProtobufCMessage *message = gml_wire_unpack(
        &onnx__model_proto__descriptor, file->data, file->size, scratch, r->diags, loc);
    if (message == NULL)
        return GML_E_INVALID;
    const Onnx__ModelProto *model = (const Onnx__ModelProto *)message;
    if (model->graph == NULL)
        return gml_fail(r->diags, GML_E_INVALID, loc, "is no ONNX model: it has no graph");
    read_metadata(r, model);
    return read_graph(r, model->graph);
}

gml_status gml_onnx_initialisers(const char *path, gml_initialisers *out, gml_diags *diags)
{
    gml_file file;
    *out = (gml_initialisers){.module = NULL};
    GML_TRY(gml_file_map(path, &file, diags));
    out->module = gml_module_create(gml_arena_text(diags->arena, path, strlen(path)));
    (void)gml_module_own_file(out->module, &file);
    gml_arena scratch;
    gml_externals externals;
    gml_arena_init(&scratch);
    gml_externals_init(&externals, out->module, gml_path_folder(&scratch, path), diags);
    reading r = {out, {&out->module->arena, &externals, diags}, diags};
    gml_status status = read_model(&r, &file, &scratch);
    gml_arena_reset(&scratch);
    if (status != GML_OK) {
        gml_module_destroy(out->module);
        *out = (gml_initialisers){.module = NULL};
    }
    return status;
}
