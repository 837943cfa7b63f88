/* api/source.c - a model's bytes, from which modules are made as often as needed. */
#include "api/source.h"

#include "api/names.h"
#include "api/train_form.h"
#include "ir/op.h"
#include "ir/text.h"

#include <inttypes.h>
#include <string.h>

/* ---- text of types and names --------------------------------------------------------------
 */

const char *gml_type_text(const gml_module *module, const gml_type *type, gml_arena *arena)
{
    gml_str str;
    gml_str_init(&str);
    gml_type_print(&module->dims, type, &str);
    const char *text = gml_arena_text(arena, str.text, str.len);
    gml_str_reset(&str);
    return text;
}

const char *gml_tensor_text(const gml_tensor *tensor, gml_arena *arena)
{
    const char *text = gml_arena_printf(arena, "%s[", gml_dtype_name(tensor->dtype));
    for (int d = 0; d < tensor->rank; d++)
        text = gml_arena_printf(arena, "%s%s%" PRId64, text, d ? "," : "", tensor->dims[d]);
    return gml_arena_printf(arena, "%s]", text);
}

const char **gml_input_names(const gml_module *module, gml_arena *arena)
{
    const gml_graph *graph = module->main;
    const char **names = gml_new_array(arena, const char *, graph->n_params + 1);
    for (uint32_t i = 0; i < graph->n_params; i++)
        names[i] = graph->params[i]->name ? graph->params[i]->name : "";
    return names;
}

const char **gml_output_names(const gml_module *module, gml_arena *arena)
{
    const gml_graph *graph = module->main;
    const char **names = gml_new_array(arena, const char *, graph->n_results + 1);
    for (uint32_t r = 0; r < graph->n_results; r++) {
        const char *name = graph->result_names ? graph->result_names[r] : NULL;
        name = name ? name : graph->results[r]->name;
        names[r] = name ? name : "";
    }
    return names;
}

/* ---- importing ----------------------------------------------------------------------------
 */

/* Textual IR says what it is; a protobuf message cannot begin so. */
static bool is_text(const gml_source *source)
{
    return gml_text_is(source->bytes, source->len);
}

bool gml_source_is_onnx(const gml_source *source)
{
    return source->artifact.program == NULL && !is_text(source);
}

/* Gives the open dimensions of parameters their sizes, where the importer did not. */
static void bind_dims(const gml_source *source, gml_module *module)
{
    for (uint32_t i = 0; i < module->main->n_params && source->n_dims; i++) {
        gml_type *type = &module->main->params[i]->type;
        if (type->kind != GML_TYPE_TENSOR || type->rank <= 0)
            continue;
        gml_dim *dims =
            gml_arena_copy(&module->arena, type->dims, (size_t)type->rank * sizeof *dims);
        for (int d = 0; d < type->rank; d++)
            for (size_t k = 0; k < source->n_dims; k++)
                if (dims[d] == gml_dim_symbol(&module->dims, source->dims[k].name))
                    dims[d] = source->dims[k].value;
        type->dims = dims;
    }
}

static gml_status import_text(const gml_source *source, gml_module **out_module,
                              gml_diags *diags)
{
    GML_TRY(gml_text_parse(source->bytes, source->len, source->path, diags, out_module));
    if (!source->n_dims)
        return GML_OK;
    bind_dims(source, *out_module);
    gml_status status = gml_graph_infer((*out_module)->main, diags);
    if (status != GML_OK) {
        gml_module_destroy(*out_module);
        *out_module = NULL;
    }
    return status;
}

static gml_status import(const gml_source *source, bool infer, gml_module **out_module,
                         gml_diags *diags)
{
    if (is_text(source))
        return import_text(source, out_module, diags);
    gml_onnx_options options = {.entry = source->entry,
                                .training = source->training,
                                .seed = source->seed,
                                .skip_infer = !infer,
                                .file = source->path,
                                .folder = source->folder,
                                .dims = source->dims,
                                .n_dims = source->n_dims};
    return gml_onnx_parse(source->bytes, source->len, &options, out_module, diags);
}

gml_status gml_source_import(const gml_source *source, bool infer, gml_module **out_module,
                             gml_diags *diags)
{
    if (source->artifact.program)
        return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = source->path},
                        "is compiled: its graph is gone");
    GML_TRY(import(source, infer || source->form, out_module, diags));
    if (!source->form)
        return GML_OK;
    gml_status status = gml_train_form_apply(source->form, *out_module, NULL, diags);
    if (status != GML_OK) {
        gml_module_destroy(*out_module);
        *out_module = NULL;
    }
    return status;
}

/* ---- opening ------------------------------------------------------------------------------
 */

typedef gml_vec(const char *) name_list;

/* What stands for a dimension that the file does not name: "d.3". */
static bool is_nameless(const char *name)
{
    return strncmp(name, "d.", 2) == 0 && name[2] && !name[2 + strspn(name + 2, "0123456789")];
}

static void collect_symbols(const gml_source *source, const gml_type *type, name_list *names,
                            gml_arena *arena)
{
    const gml_dim_pool *pool = &source->module->dims;
    if (type->element)
        collect_symbols(source, type->element, names, arena);
    for (int d = 0; type->kind == GML_TYPE_TENSOR && d < type->rank; d++) {
        if (gml_dim_is_const(type->dims[d]))
            continue;
        const gml_dim_expr *expr = &pool->exprs.items[gml_dim_index(type->dims[d])];
        bool seen = expr->op != GML_DIM_SYMBOL || is_nameless(expr->name);
        for (size_t i = 0; i < names->count && !seen; i++)
            seen = strcmp(names->items[i], expr->name) == 0;
        if (!seen)
            gml_push(arena, names, expr->name);
    }
}

/* Every size given must be of a dimension that an input or output has. */
static gml_status check_dims(const gml_source *source, gml_diags *diags)
{
    gml_arena arena;
    gml_arena_init(&arena);
    name_list names = {NULL, 0, 0};
    const gml_graph *graph = source->module->main;
    gml_loc loc = {0};
    if (source->path) /* diagnostics outlive the source */
        loc.file = gml_arena_text(diags->arena, source->path, strlen(source->path));
    for (uint32_t i = 0; i < graph->n_params; i++)
        collect_symbols(source, &graph->params[i]->type, &names, &arena);
    for (uint32_t r = 0; r < graph->n_results; r++)
        collect_symbols(source, &graph->results[r]->type, &names, &arena);
    gml_status status = GML_OK;
    for (size_t k = 0; k < source->n_dims && status == GML_OK; k++) {
        const gml_onnx_dim *dim = &source->dims[k];
        bool found = false;
        for (size_t i = 0; i < names.count; i++)
            found = found || strcmp(names.items[i], dim->name) == 0;
        if (!found)
            status = gml_name_fail(diags, loc, "open dimension", dim->name, names.items,
                                   names.count);
        else if (dim->value < 0 || dim->value >= (int64_t)1 << 46)
            status = gml_fail(diags, GML_E_USAGE, loc, "dimension %s cannot be %" PRId64,
                              dim->name, dim->value);
    }
    gml_arena_reset(&arena);
    return status;
}

/* What is known without compiling. */
static gml_status declare(gml_source *source, gml_diags *diags)
{
    if (!source->artifact.program)
        return gml_source_import(source, false, &source->module, diags);
    if (source->form)
        return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = source->path},
                        "is compiled: it cannot be trained");
    GML_TRY(gml_artifact_choose(&source->artifact, source->path, source->entry,
                                source->training, diags));
    source->module = gml_artifact_interface(&source->artifact, source->path);
    bind_dims(source, source->module);
    return GML_OK;
}

/* Imports first without sizes, to know which dimensions are open, then with them. */
static gml_status import_declared(gml_source *source, const gml_onnx_options *options,
                                  gml_diags *diags)
{
    size_t n = options ? options->n_dims : 0;
    if (options) {
        source->entry = options->entry;
        source->training = options->training;
        source->seed = options->seed;
    }
    const gml_train_form *form = source->form;
    source->form = n ? NULL : form;
    GML_TRY(declare(source, diags));
    source->form = form;
    if (!n)
        return GML_OK;
    source->dims = gml_new_array(&source->arena, gml_onnx_dim, n);
    source->n_dims = n;
    for (size_t i = 0; i < n; i++) {
        const gml_onnx_dim *dim = &options->dims[i];
        source->dims[i].name = gml_arena_text(&source->arena, dim->name, strlen(dim->name));
        source->dims[i].value = dim->value;
    }
    GML_TRY(check_dims(source, diags));
    gml_module_destroy(source->module);
    source->module = NULL;
    return declare(source, diags);
}

static gml_status finish_open(gml_source *source, const gml_onnx_options *options,
                              gml_diags *diags)
{
    gml_status status = import_declared(source, options, diags);
    if (status != GML_OK)
        gml_source_close(source);
    return status;
}

static const char *folder_of(gml_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return ".";
    return gml_arena_text(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

gml_status gml_source_open(gml_source *source, const char *path,
                           const gml_onnx_options *options, const gml_train_form *form,
                           gml_diags *diags)
{
    *source = (gml_source){.file = {.data = ""}, .form = form};
    gml_arena_init(&source->arena);
    GML_TRY(gml_file_map(path, &source->file, diags));
    source->bytes = source->file.data;
    source->len = source->file.size;
    source->path = gml_arena_text(&source->arena, path, strlen(path));
    source->folder = folder_of(&source->arena, path);
    gml_status status = GML_OK;
    if (gml_artifact_is(source->bytes, source->len))
        status = gml_artifact_open(path, source->bytes, source->len, &source->artifact, diags);
    if (status != GML_OK) {
        gml_source_close(source);
        return status;
    }
    return finish_open(source, options, diags);
}

gml_status gml_source_wrap(gml_source *source, const void *bytes, size_t len,
                           const gml_onnx_options *options, const gml_train_form *form,
                           gml_diags *diags)
{
    *source = (gml_source){.file = {.data = ""}, .form = form};
    gml_arena_init(&source->arena);
    source->bytes = bytes;
    source->len = len;
    if (options && options->folder)
        source->folder =
            gml_arena_text(&source->arena, options->folder, strlen(options->folder));
    return finish_open(source, options, diags);
}

void gml_source_forget(const gml_source *source)
{
    gml_file_forget(&source->file, source->file.data, source->file.size);
}

void gml_source_close(gml_source *source)
{
    gml_module_destroy(source->module);
    gml_artifact_close(&source->artifact);
    gml_file_unmap(&source->file);
    gml_arena_reset(&source->arena);
    *source = (gml_source){.file = {.data = ""}};
}
