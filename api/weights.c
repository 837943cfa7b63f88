/* api/weights.c - files of weights, whatever wrote them. */
#include "api/weights.h"

#include "weights/torch.h"

#include <stdlib.h>
#include <string.h>

/* ---- the three readers ------------------------------------------------------------------- */

static gml_status read_torch(gml_weights *w)
{
    return gml_torch_read(w->file.data, w->file.size, &w->table);
}

static gml_status read_safetensors(gml_weights *w)
{
    GML_TRY(gml_safetensors_open(w->path, &w->safetensors, &w->diags));
    for (size_t i = 0; i < w->safetensors.n_tensors; i++) {
        const gml_safetensor *item = &w->safetensors.tensors[i];
        GML_TRY(gml_weight_table_add(&w->table, item->name, &item->tensor, false));
    }
    for (size_t i = 0; i < w->safetensors.n_texts; i++) {
        const gml_safetensors_text *text = &w->safetensors.texts[i];
        GML_TRY(
            gml_weight_table_add_text(&w->table, text->key, text->value, strlen(text->value)));
    }
    return GML_OK;
}

static gml_status read_onnx(gml_weights *w)
{
    gml_initialisers found;
    GML_TRY(gml_onnx_initialisers(w->path, &found, &w->diags));
    w->module = found.module;
    for (size_t i = 0; i < found.list.count; i++) {
        const gml_initialiser *item = &found.list.items[i];
        if (item->tensor.dtype == GML_NONE)
            GML_TRY(gml_weight_table_add_text(&w->table, item->name, "a sparse tensor", 15));
        else if (item->tensor.dtype == GML_STRING)
            GML_TRY(gml_weight_table_add_text(&w->table, item->name, "texts", 5));
        else
            GML_TRY(gml_weight_table_add(&w->table, item->name, &item->tensor,
                                         gml_map_has(&found.turned, item->name)));
    }
    return GML_OK;
}

/* A header's length that the file holds, and the bracket that the header begins with. */
static bool is_safetensors(const gml_file *file)
{
    const unsigned char *bytes = file->data;
    uint64_t len = 0;
    if (file->size < 9 || bytes[8] != '{')
        return false;
    for (unsigned i = 0; i < 8; i++)
        len |= (uint64_t)bytes[i] << (8 * i);
    return len <= file->size - 8;
}

static gml_status read_file(gml_weights *w)
{
    GML_TRY(gml_file_map(w->path, &w->file, &w->diags));
    gml_torch_form form = gml_torch_find_form(w->file.data, w->file.size);
    if (form != GML_TORCH_NOT) {
        w->format = form == GML_TORCH_LEGACY ? "pytorch (legacy)" : "pytorch";
        return read_torch(w);
    }
    bool is_tensors = is_safetensors(&w->file);
    gml_file_unmap(&w->file);
    w->format = is_tensors ? "safetensors" : "onnx";
    if (is_tensors)
        return read_safetensors(w);
    gml_status status = read_onnx(w);
    if (status != GML_OK)
        gml_note(&w->diags, "weights come from safetensors, PyTorch's .pth or ONNX models");
    return status;
}

/* ---- the object -------------------------------------------------------------------------- */

gml_weights *gml_weights_open(const char *path)
{
    gml_weights *w = calloc(1, sizeof *w);
    if (w == NULL)
        gml_out_of_memory(sizeof *w);
    gml_arena_init(&w->arena);
    gml_diags_init(&w->diags, &w->arena);
    w->path = gml_arena_text(&w->arena, path, strlen(path));
    w->format = "";
    w->file = (gml_file){.data = ""};
    w->safetensors.file = w->file;
    gml_weight_table_init(&w->table, w->path, &w->arena, &w->diags);
    w->status = read_file(w);
    return w;
}

void gml_weights_close(gml_weights *weights)
{
    if (weights == NULL)
        return;
    gml_file_unmap(&weights->file);
    gml_safetensors_close(&weights->safetensors);
    if (weights->module != NULL)
        gml_module_destroy(weights->module);
    gml_arena_reset(&weights->arena);
    free(weights);
}

gml_status gml_weights_status(const gml_weights *weights)
{
    return weights->status;
}

const char *gml_weights_message(gml_weights *weights)
{
    return weights->status != GML_OK ? gml_diags_print(&weights->diags) : "";
}

const char *gml_weights_format(const gml_weights *weights)
{
    return weights->format;
}

const char *gml_weights_file(const gml_weights *weights)
{
    return weights->path;
}

size_t gml_weights_count(const gml_weights *weights)
{
    return weights->table.weights.count;
}

const gml_weight *gml_weights_get(const gml_weights *weights, size_t i)
{
    return weights->table.weights.items[i];
}

size_t gml_weights_text_count(const gml_weights *weights)
{
    return weights->table.texts.count;
}

const gml_weights_text *gml_weights_get_text(const gml_weights *weights, size_t i)
{
    return &weights->table.texts.items[i];
}
