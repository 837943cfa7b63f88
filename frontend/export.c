/* frontend/export.c - builds the messages of a model over the module's own memory, then packs
 * them. */
#include "frontend/export.h"

#include "frontend/exporter.h"
#include "frontend/opset.h"

#include <string.h>

#define GML_PIECE ((size_t)1 << 22)

/* ---- the model --------------------------------------------------------------------------- */

static void export_opsets(gml_exporter *x, Onnx__ModelProto *model)
{
    gml_map_set(&x->domains, "", x); /* always imported, so that a reader knows the version */
    model->opset_import =
        gml_new_array(&x->scratch, Onnx__OperatorSetIdProto *, x->domains.count);
    for (size_t i = 0; i < x->domains.count; i++) {
        const char *domain = x->domains.entries[i].key;
        Onnx__OperatorSetIdProto *opset = gml_new(&x->scratch, Onnx__OperatorSetIdProto);
        onnx__operator_set_id_proto__init(opset);
        opset->domain = gml_exporter_text(x, domain);
        opset->has_version = 1;
        opset->version = 1;
        if (*domain == '\0')
            opset->version = x->options.opset;
        else if (strcmp(domain, "ai.onnx.ml") == 0)
            opset->version = GML_OPSET_ML_WRITTEN;
        model->opset_import[model->n_opset_import++] = opset;
    }
}

static gml_status check_types(gml_exporter *x, const gml_graph *graph)
{
    for (uint32_t i = 0; i < graph->n_params + graph->n_results; i++) {
        bool is_param = i < graph->n_params;
        const gml_value *value =
            is_param ? graph->params[i] : graph->results[i - graph->n_params];
        if (value->type.kind == GML_TYPE_UNKNOWN)
            return gml_fail(x->diags, GML_E_INVALID, (gml_loc){.file = x->module->file},
                            "the type of %s %s is unknown", is_param ? "input" : "output",
                            value->name != NULL ? value->name : "");
    }
    return GML_OK;
}

static void export_metadata(gml_exporter *x, Onnx__ModelProto *model)
{
    size_t count = x->options.n_metadata;
    model->metadata_props = gml_new_array(&x->scratch, Onnx__StringStringEntryProto *, count);
    for (size_t i = 0; i < count; i++) {
        const gml_export_entry *entry = &x->options.metadata[i];
        model->metadata_props[model->n_metadata_props++] =
            gml_export_pair(x, entry->key, entry->value);
    }
}

static gml_status export_model(gml_exporter *x, const gml_module *module, gml_diags *diags,
                               Onnx__ModelProto *model)
{
    gml_arena_init(&x->scratch);
    if (x->options.opset == 0)
        x->options.opset = GML_OPSET_WRITTEN;
    if (x->options.opset < GML_OPSET_OLDEST_WRITTEN || x->options.opset > GML_OPSET_WRITTEN)
        return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = module->file},
                        "operator set %lld is outside %d to %d", (long long)x->options.opset,
                        GML_OPSET_OLDEST_WRITTEN, GML_OPSET_WRITTEN);
    x->module = module;
    x->diags = diags;
    gml_map_init(&x->used, &x->scratch);
    gml_map_init(&x->domains, &x->scratch);
    x->names = gml_new_array(&x->scratch, const char *, module->n_values);
    x->in_algorithm = gml_new_array(&x->scratch, bool, module->n_values);
    onnx__model_proto__init(model);
    model->has_ir_version = 1;
    model->ir_version = gml_opset_ir_version(x->options.opset);
    model->producer_name = gml_exporter_text(x, "gemel");
    GML_TRY(check_types(x, module->main));
    if (x->options.training != NULL)
        GML_TRY(gml_export_step(x, module->main, model));
    else
        GML_TRY(gml_export_graph(x, module->main, &model->graph));
    export_opsets(x, model);
    export_metadata(x, model);
    if (onnx__model_proto__get_packed_size(model) > INT32_MAX) {
        (void)gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = module->file},
                       "the model has more than 2 GB");
        gml_note(diags, "write its constants as external data");
        return GML_E_UNSUPPORTED;
    }
    return GML_OK;
}

/* ---- where the bytes go ------------------------------------------------------------------ */

/* A protobuf-c sink over a file or a string. */
typedef struct sink {
    ProtobufCBuffer base;
    gml_writer *writer;
    gml_str *text;
    const gml_export_options *options; /* for the progress of a writer */
    uint64_t done, total;
} sink;

/* In pieces, between which progress is reported. */
static void write_bytes(sink *to, const uint8_t *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t piece = len - at < GML_PIECE ? len - at : GML_PIECE;
        gml_writer_put(to->writer, bytes + at, piece);
        at += piece;
        to->done += piece;
        if (to->options->progress != NULL && (piece == GML_PIECE || to->done == to->total))
            to->options->progress(to->options->progress_context, "writing", to->done,
                                  to->total);
    }
}

static void put_bytes(ProtobufCBuffer *buffer, size_t len, const uint8_t *bytes)
{
    union {
        ProtobufCBuffer *base;
        sink *whole;
    } at = {.base = buffer};
    if (at.whole->writer != NULL)
        write_bytes(at.whole, bytes, len);
    else
        gml_str_append(at.whole->text, bytes, len);
}

gml_status gml_onnx_write(const gml_module *module, const gml_export_options *options,
                          gml_str *out, gml_diags *diags)
{
    gml_exporter x = {.data = NULL};
    if (options != NULL)
        x.options = *options;
    x.options.external_data = false;
    Onnx__ModelProto model;
    gml_status status = export_model(&x, module, diags, &model);
    sink to = {.base = {.append = put_bytes}, .text = out};
    if (status == GML_OK)
        (void)onnx__model_proto__pack_to_buffer(&model, &to.base);
    gml_arena_reset(&x.scratch);
    return status;
}

static gml_status save_model(gml_exporter *x, const gml_module *module, const char *path,
                             gml_diags *diags)
{
    Onnx__ModelProto model;
    gml_writer writer;
    GML_TRY(export_model(x, module, diags, &model));
    GML_TRY(gml_writer_open(&writer, path, diags));
    sink to = {
        .base = {.append = put_bytes},
        .writer = &writer,
        .options = &x->options,
        .total = onnx__model_proto__get_packed_size(&model),
    };
    (void)onnx__model_proto__pack_to_buffer(&model, &to.base);
    if (x->data != NULL) { /* first, so that no model ever points at data that is not there */
        gml_status status = gml_writer_close(x->data, diags);
        x->data = NULL;
        if (status != GML_OK) {
            gml_writer_cancel(&writer);
            return status;
        }
    }
    return gml_writer_close(&writer, diags);
}

gml_status gml_onnx_save(const gml_module *module, const char *path,
                         const gml_export_options *options, gml_diags *diags)
{
    gml_exporter x = {.data = NULL};
    gml_writer data;
    if (options != NULL)
        x.options = *options;
    if (x.options.external_data) {
        const char *data_path = gml_arena_printf(diags->arena, "%s.data", path);
        const char *slash = strrchr(data_path, '/');
        x.data_name = slash != NULL ? slash + 1 : data_path;
        GML_TRY(gml_writer_open(&data, data_path, diags));
        x.data = &data;
    }
    gml_status status = save_model(&x, module, path, diags);
    if (x.data != NULL)
        gml_writer_cancel(x.data);
    gml_arena_reset(&x.scratch);
    return status;
}
