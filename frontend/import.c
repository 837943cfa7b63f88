/* frontend/import.c - from a file to a module: the model's own fields; graphs are
 * import_graph.c's. */
#include "frontend/import.h"

#include "base/file.h"
#include "frontend/importer.h"
#include "frontend/wire.h"

#include <string.h>

const char *gml_text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

const char *gml_domain_name(const char *domain)
{
    domain = gml_text_or_empty(domain);
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

const char *gml_import_text(gml_importer *importer, const char *text)
{
    if (text == NULL)
        return NULL;
    char *copy = gml_map_find(&importer->texts, text);
    if (copy == NULL) {
        copy = gml_arena_text(importer->arena, text, strlen(text));
        gml_map_set(&importer->texts, text, copy);
    }
    return copy;
}

const char *gml_import_path(gml_importer *importer, const char *call, const char *name)
{
    return gml_arena_printf(importer->arena, "%.512s/%.256s", call, name);
}

gml_status gml_import_fail(gml_importer *importer, gml_status status, gml_loc loc,
                           const char *format, ...)
{
    gml_str text;
    gml_str_init(&text);
    va_list args;
    va_start(args, format);
    gml_str_vprintf(&text, format, args);
    va_end(args);
    (void)gml_fail(importer->diags, status, loc, "%s", text.text);
    gml_str_reset(&text);
    return status;
}

bool gml_import_has_failed(const gml_importer *importer)
{
    return importer->diags->list.count > importer->first_diag;
}

bool gml_import_is_hopeless(const gml_importer *importer)
{
    return importer->n_nodes > GML_MAX_NODES ||
           importer->diags->list.count - importer->first_diag >= GML_MAX_FAULTS;
}

static const int64_t *find_opset(gml_opsets opsets, const char *domain)
{
    for (size_t i = 0; i < opsets.count; i++) {
        if (strcmp(gml_domain_name(opsets.items[i]->domain), domain) == 0)
            return &opsets.items[i]->version;
    }
    return NULL;
}

int64_t gml_opset_version(const gml_scope *scope, const char *domain)
{
    const int64_t *version = find_opset(scope->opsets, domain);
    if (version == NULL) /* a function that imports nothing speaks as its model does */
        version = find_opset(scope->importer->opsets, domain);
    return version != NULL ? *version : 1;
}

static void check_opsets(gml_importer *importer)
{
    static const struct {
        const char *domain;
        int64_t newest;
    } known[] = {{"", GML_OPSET_NEWEST}, {"ai.onnx.ml", GML_OPSET_ML_NEWEST}};
    gml_loc loc = {.file = importer->module->file};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const int64_t *version = find_opset(importer->opsets, known[i].domain);
        const char *name = *known[i].domain != '\0' ? known[i].domain : "ai.onnx";
        if (version != NULL && *version > known[i].newest)
            (void)gml_import_fail(importer, GML_E_UNSUPPORTED, loc,
                                  "opset %lld of %s is newer than %lld, the newest understood",
                                  (long long)*version, name, (long long)known[i].newest);
        if (version != NULL && *version < 1)
            (void)gml_import_fail(importer, GML_E_INVALID, loc, "opset %lld of %s",
                                  (long long)*version, name);
    }
    const int64_t *main_version = find_opset(importer->opsets, "");
    importer->module->opset = main_version != NULL ? *main_version : 1;
}

/* Stays valid until the next call. */
static const char *function_key(gml_importer *importer, const char *domain, const char *name,
                                const char *overload)
{
    gml_str *key = &importer->key;
    key->len = 0;
    gml_str_printf(key, "%s\n%s\n%s", gml_domain_name(domain), gml_text_or_empty(name),
                   gml_text_or_empty(overload));
    return key->text;
}

static void collect_functions(gml_importer *importer)
{
    gml_loc loc = {.file = importer->module->file};
    gml_map_init(&importer->functions, &importer->scratch);
    for (size_t i = 0; i < importer->model->n_functions; i++) {
        Onnx__FunctionProto *function = importer->model->functions[i];
        const char *key =
            function_key(importer, function->domain, function->name, function->overload);
        if (gml_map_set(&importer->functions, key, function) != NULL)
            (void)gml_import_fail(importer, GML_E_INVALID, loc, "two functions are called %s",
                                  gml_text_or_empty(function->name));
    }
}

const Onnx__FunctionProto *gml_find_function(const gml_scope *scope,
                                             const Onnx__NodeProto *proto)
{
    gml_importer *importer = scope->importer;
    if (importer->functions.count == 0)
        return NULL;
    return gml_map_find(&importer->functions,
                        function_key(importer, proto->domain, proto->op_type, proto->overload));
}

/* One diagnostic an operator, with the names of the nodes that use it. */
static void report_unknown(gml_importer *importer)
{
    for (size_t i = 0; i < importer->unknown.count; i++) {
        const gml_unknown_op *unknown = importer->unknown.items[i];
        const char *domain = *unknown->domain != '\0' ? unknown->domain : "ai.onnx";
        (void)gml_import_fail(importer, GML_E_UNSUPPORTED, unknown->loc,
                              "operator %s of %s, opset %lld, is not supported", unknown->op,
                              domain, (long long)unknown->version);
        size_t n_named = unknown->more.count < 8 ? unknown->more.count : 8;
        for (size_t k = 0; k < n_named; k++)
            gml_note(importer->diags, "also at %s", unknown->more.items[k]);
        if (n_named < unknown->more.count)
            gml_note(importer->diags, "and at %zu more nodes", unknown->more.count - n_named);
    }
}

static void import_metadata(gml_importer *importer, const Onnx__ModelProto *model)
{
    gml_module *module = importer->module;
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *entry = model->metadata_props[i];
        gml_metadata text = {gml_import_text(importer, entry->key),
                             gml_import_text(importer, entry->value)};
        gml_push(&module->arena, &module->metadata, text);
    }
}

static gml_status import_model(gml_importer *importer, const void *bytes, size_t len)
{
    gml_module *module = importer->module;
    gml_loc loc = {.file = module->file};
    const ProtobufCMessage *message = gml_wire_unpack(
        &onnx__model_proto__descriptor, bytes, len, &importer->scratch, importer->diags, loc);
    if (message == NULL)
        return GML_E_INVALID;
    const Onnx__ModelProto *model = (const Onnx__ModelProto *)message;
    if (model->graph == NULL)
        return gml_import_fail(importer, GML_E_INVALID, loc,
                               "is no ONNX model: it has no graph");
    importer->model = model;
    importer->opsets.items = (const Onnx__OperatorSetIdProto *const *)model->opset_import;
    importer->opsets.count = model->n_opset_import;
    module->producer = gml_import_text(importer, model->producer_name);
    import_metadata(importer, model);
    check_opsets(importer);
    collect_functions(importer);
    if (gml_import_has_failed(importer))
        return GML_E_INVALID;
    module->main = gml_graph_create(module, gml_text_or_empty(model->graph->name), NULL);
    gml_scope scope;
    gml_scope_init(&scope, importer, module->main, NULL);
    scope.opsets = importer->opsets;
    gml_import_training(&scope);
    report_unknown(importer);
    return GML_OK;
}

/* Locations point into the module, which goes away after a failure; its diagnostics stay. */
static void keep_locations(gml_diags *diags, size_t first)
{
    for (size_t i = first; i < diags->list.count; i++) {
        gml_loc *loc = &diags->list.items[i].loc;
        const char **texts[] = {&loc->file, &loc->node, &loc->op};
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
            if (*texts[k] != NULL)
                *texts[k] = gml_arena_text(diags->arena, *texts[k], strlen(*texts[k]));
        }
    }
}

/* `file` is taken over by the module when it is not NULL. */
static gml_status import_bytes(const void *bytes, size_t len, const gml_onnx_options *options,
                               const gml_file *file, gml_module **out_module, gml_diags *diags)
{
    gml_module *module = gml_module_create(options->file);
    if (file != NULL)
        (void)gml_module_own_file(module, file);
    gml_importer importer = {.module = module,
                             .arena = &module->arena,
                             .diags = diags,
                             .first_diag = diags->list.count,
                             .options = options,
                             .max_memory = GML_MAX_MEMORY + 64 * len};
    gml_arena_init(&importer.scratch);
    gml_str_init(&importer.key);
    gml_map_init(&importer.texts, &importer.scratch);
    gml_externals_init(&importer.externals, module, options->folder, diags);
    importer.externals.allow_hard_links = options->allow_hard_links;
    importer.reader = (gml_tensor_reader){&module->arena, &importer.externals, diags};
    gml_status status = import_model(&importer, bytes, len);
    gml_arena_reset(&importer.scratch);
    gml_str_reset(&importer.key);
    if (gml_import_has_failed(&importer))
        status = diags->list.items[importer.first_diag].status;
    if (status != GML_OK) {
        keep_locations(diags, importer.first_diag);
        gml_module_destroy(module);
        return status;
    }
    *out_module = module;
    return GML_OK;
}

gml_status gml_onnx_parse(const void *bytes, size_t len, const gml_onnx_options *options,
                          gml_module **out_module, gml_diags *diags)
{
    static const gml_onnx_options defaults = {.skip_infer = false};
    *out_module = NULL;
    return import_bytes(bytes, len, options != NULL ? options : &defaults, NULL, out_module,
                        diags);
}

gml_status gml_onnx_load(const char *path, const gml_onnx_options *options,
                         gml_module **out_module, gml_diags *diags)
{
    *out_module = NULL;
    gml_file file;
    GML_TRY(gml_file_map(path, &file, diags));
    gml_arena folder;
    gml_arena_init(&folder);
    gml_onnx_options with_path = {.skip_infer = false};
    if (options != NULL)
        with_path = *options;
    with_path.file = path;
    with_path.folder = gml_path_folder(&folder, path);
    gml_status status =
        import_bytes(file.data, file.size, &with_path, &file, out_module, diags);
    gml_arena_reset(&folder);
    return status;
}
