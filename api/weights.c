/* api/weights.c - files of weights, whatever wrote them. */
#include "api/weights.h"

#include "weights/torch.h"

#include <stdlib.h>
#include <string.h>

/* ---- the three readers -------------------------------------------------------------------
 *
 * Each fills a table of its own, so that names are checked within one file. */

/* The names that the entry `key` lists, where it is the one of turned matrices. */
static void read_turned(gml_weights *w, const char *key, const char *value, gml_map *turned)
{
    if (strcmp(key, GML_TURNED_KEY) != 0)
        return;
    w->knows_turned = true;
    for (const char *line = value; *line != '\0';) {
        size_t len = strcspn(line, "\n");
        gml_map_set(turned, gml_arena_text(&w->arena, line, len), w);
        line += len + (line[len] == '\n');
    }
}

static gml_status read_safetensors(gml_weights *w, gml_weights_source *s,
                                   gml_weight_table *table)
{
    gml_map turned;
    gml_map_init(&turned, &w->arena);
    GML_TRY(gml_safetensors_open(s->path, &s->safetensors, table->diags));
    for (size_t i = 0; i < s->safetensors.n_texts; i++) {
        const gml_safetensors_text *text = &s->safetensors.texts[i];
        read_turned(w, text->key, text->value, &turned);
        GML_TRY(gml_weight_table_add_text(table, text->key, text->value, strlen(text->value)));
    }
    for (size_t i = 0; i < s->safetensors.n_tensors; i++) {
        const gml_safetensor *item = &s->safetensors.tensors[i];
        GML_TRY(gml_weight_table_add(table, item->name, &item->tensor,
                                     gml_map_has(&turned, item->name)));
    }
    return GML_OK;
}

static gml_status read_onnx(gml_weights *w, gml_weights_source *s, gml_weight_table *table)
{
    gml_initialisers found;
    gml_map turned;
    gml_map_init(&turned, &w->arena);
    GML_TRY(gml_onnx_initialisers(s->path, &found, table->diags));
    s->module = found.module;
    for (size_t i = 0; i < found.metadata.count; i++) {
        const gml_onnx_metadata *entry = &found.metadata.items[i];
        read_turned(w, entry->key, entry->value, &turned);
        GML_TRY(
            gml_weight_table_add_text(table, entry->key, entry->value, strlen(entry->value)));
    }
    for (size_t i = 0; i < found.list.count; i++) {
        const gml_initialiser *item = &found.list.items[i];
        if (item->tensor.dtype == GML_NONE)
            GML_TRY(gml_weight_table_add_text(table, item->name, "a sparse tensor", 15));
        else if (item->tensor.dtype == GML_STRING)
            GML_TRY(gml_weight_table_add_text(table, item->name, "texts", 5));
        else
            GML_TRY(gml_weight_table_add(table, item->name, &item->tensor,
                                         gml_map_has(&turned, item->name)));
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

static gml_status read_source(gml_weights *w, gml_weights_source *s, gml_weight_table *table)
{
    GML_TRY(gml_file_map(s->path, &s->file, table->diags));
    gml_torch_form form = gml_torch_find_form(s->file.data, s->file.size);
    if (form != GML_TORCH_NOT) {
        s->format = form == GML_TORCH_LEGACY ? "pytorch (legacy)" : "pytorch";
        return gml_torch_read(s->file.data, s->file.size, table);
    }
    bool is_tensors = is_safetensors(&s->file);
    gml_file_unmap(&s->file);
    s->format = is_tensors ? "safetensors" : "onnx";
    if (is_tensors)
        return read_safetensors(w, s, table);
    gml_status status = read_onnx(w, s, table);
    if (status != GML_OK)
        gml_note(table->diags, "weights come from safetensors, PyTorch's .pth or ONNX models");
    return status;
}

static gml_status open_source(gml_weights *w, const char *path, gml_weight_table *out_table)
{
    gml_weights_source *source = gml_new(&w->arena, gml_weights_source);
    *source = (gml_weights_source){.path = gml_arena_text(&w->arena, path, strlen(path)),
                                   .format = "",
                                   .file = {.data = ""},
                                   .safetensors = {.file = {.data = ""}}};
    gml_push(&w->arena, &w->sources, source);
    gml_weight_table_init(out_table, source->path, &w->arena, &w->diags);
    return read_source(w, source, out_table);
}

/* ---- the object -------------------------------------------------------------------------- */

gml_weights *gml_weights_open(const char *path)
{
    gml_weights *w = calloc(1, sizeof *w);
    if (w == NULL)
        gml_out_of_memory(sizeof *w);
    gml_arena_init(&w->arena);
    gml_diags_init(&w->diags, &w->arena);
    w->status = open_source(w, path, &w->table);
    return w;
}

static bool same_shape(const gml_tensor *x, const gml_tensor *y)
{
    bool same = x->rank == y->rank;
    for (int d = 0; same && d < x->rank; d++)
        same = x->dims[d] == y->dims[d];
    return same;
}

/* Puts `from` in the place of the weight of its name, or behind all. How a matrix is stored is
 * what its model says: a checkpoint does not. */
static gml_status merge(gml_weights *w, const gml_weight *from, const char *path)
{
    gml_weight *to = gml_map_find(&w->table.by_name, from->name);
    if (to == NULL)
        return gml_weight_table_add(&w->table, from->name, &from->tensor, from->is_turned);
    if (!same_shape(&to->tensor, &from->tensor))
        return gml_fail(&w->diags, GML_E_SHAPE, (gml_loc){.file = path, .node = from->name},
                        "has another shape than in %s", w->table.file);
    to->tensor = from->tensor;
    to->is_turned = to->is_turned || from->is_turned;
    return GML_OK;
}

void gml_weights_add(gml_weights *weights, const char *path)
{
    gml_weight_table table;
    if (weights->status == GML_OK)
        weights->status = open_source(weights, path, &table);
    for (size_t i = 0; weights->status == GML_OK && i < table.weights.count; i++)
        weights->status = merge(weights, table.weights.items[i], table.file);
    for (size_t i = 0; weights->status == GML_OK && i < table.texts.count; i++)
        weights->status = gml_weight_table_add_text(&weights->table, table.texts.items[i].name,
                                                    table.texts.items[i].value,
                                                    strlen(table.texts.items[i].value));
}

void gml_weights_close(gml_weights *weights)
{
    if (weights == NULL)
        return;
    for (size_t i = 0; i < weights->sources.count; i++) {
        gml_weights_source *source = weights->sources.items[i];
        gml_file_unmap(&source->file);
        gml_safetensors_close(&source->safetensors);
        if (source->module != NULL)
            gml_module_destroy(source->module);
    }
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
    return weights->sources.items[0]->format;
}

const char *gml_weights_file(const gml_weights *weights)
{
    return weights->sources.items[0]->path;
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
