/* api/input.c - values for a model's inputs, from files. */
#include "api/input.h"

#include "api/names.h"
#include "api/preparation.h"
#include "frontend/npy.h"
#include "frontend/tensor_file.h"
#include "runtime/host.h"

#include <stdlib.h>
#include <string.h>

void gml_inputs_init(gml_inputs *inputs, const gml_model *model, gml_arena *arena)
{
    size_t n = gml_model_n_inputs(model);
    *inputs = (gml_inputs){.model = model, .arena = arena};
    inputs->values = gml_new_array(arena, gml_rvalue, n + 1);
    inputs->files = gml_new_array(arena, const char *, n + 1);
}

void gml_inputs_reset(gml_inputs *inputs)
{
    for (size_t i = 0; inputs->model && i < gml_model_n_inputs(inputs->model); i++)
        gml_rvalue_reset(&inputs->values[i]);
}

/* ---- one value of a file ------------------------------------------------------------------
 */

/* The values of a map come as a sequence of numbers and are kept as one tensor. */
static gml_status join_scalars(const gml_file_value *list, gml_arena *arena, gml_rvalue *out,
                               gml_diags *diags, gml_loc loc)
{
    size_t n = list->n_items;
    gml_dtype dtype = n ? list->items[0].tensor.dtype : GML_F32;
    size_t size = gml_dtype_size(dtype);
    char *data = gml_arena_array(arena, n + 1, size);
    for (size_t i = 0; i < n; i++) {
        const gml_file_value *item = &list->items[i];
        if (item->kind != GML_FILE_TENSOR || item->tensor.dtype != dtype ||
            gml_tensor_numel(&item->tensor) != 1)
            return gml_fail(diags, GML_E_UNSUPPORTED, loc,
                            "a map whose values are no numbers or texts");
        memcpy(data + i * size, item->tensor.data, size);
    }
    *out =
        (gml_rvalue){.kind = GML_RVALUE_TENSOR,
                     .tensor = {.dtype = dtype, .rank = 1, .dims = {(int64_t)n}, .data = data}};
    return GML_OK;
}

static gml_status to_rvalue(const gml_file_value *file, gml_arena *arena, gml_rvalue *out,
                            gml_diags *diags, gml_loc loc)
{
    if (file->kind == GML_FILE_TENSOR) {
        *out = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = file->tensor};
        return GML_OK;
    }
    if (file->kind == GML_FILE_OPTIONAL) {
        *out = (gml_rvalue){0};
        if (file->n_items)
            GML_TRY(to_rvalue(&file->items[0], arena, out, diags, loc));
        out->is_optional = true;
        return GML_OK;
    }
    if (gml_rvalue_sequence(out, file->n_items) != GML_OK)
        return gml_fail(diags, GML_E_MEMORY, loc, "no memory for a sequence");
    gml_status status = GML_OK;
    for (size_t i = 0; i < file->n_items && status == GML_OK; i++)
        status = file->kind == GML_FILE_MAP && i == 1
                     ? join_scalars(&file->items[i], arena, &out->items[i], diags, loc)
                     : to_rvalue(&file->items[i], arena, &out->items[i], diags, loc);
    if (file->kind == GML_FILE_MAP)
        out->kind = GML_RVALUE_MAP;
    if (status != GML_OK)
        gml_rvalue_reset(out);
    return status;
}

/* True when NumPy has no such type, so that arrays of it are written as another. */
static bool lacks_numpy(gml_dtype dtype)
{
    return gml_dtype_bits(dtype) < 8 ? dtype != GML_NONE && dtype != GML_STRING
           : gml_dtype_get_class(dtype) == GML_CLASS_FLOAT
               ? dtype != GML_F16 && dtype != GML_F32 && dtype != GML_F64
               : false;
}

/* An array for an input of a type that NumPy lacks. */
static gml_status narrow(const gml_tensor *from, gml_dtype dtype, gml_arena *arena,
                         gml_tensor *out, gml_diags *diags, gml_loc loc)
{
    int64_t n = gml_tensor_numel(from);
    *out = *from;
    out->dtype = dtype;
    out->data = gml_arena_array(arena, (size_t)n + 1, gml_dtype_size(dtype));
    for (int64_t i = 0; i < n; i++) {
        double value = gml_host_get_float(from, i);
        gml_host_put(out, i, value);
        double stored = gml_host_get_float(out, i);
        if (stored != value && !(stored != stored && value != value))
            return gml_fail(diags, GML_E_RANGE, loc,
                            "element %lld, %g, is no number of type %s", (long long)i, value,
                            gml_dtype_name(dtype));
    }
    return GML_OK;
}

static const gml_type *declared_type(const gml_inputs *inputs, size_t index)
{
    return &gml_model_module(inputs->model)->main->params[index]->type;
}

/* A numeric array as input `index`. */
static gml_status set_array(gml_inputs *inputs, size_t index, const gml_tensor *array,
                            gml_rvalue *out, gml_diags *diags, gml_loc loc)
{
    const gml_type *type = declared_type(inputs, index);
    *out = (gml_rvalue){.kind = GML_RVALUE_TENSOR, .tensor = *array};
    out->is_optional = type->kind == GML_TYPE_OPTIONAL;
    if (type->kind == GML_TYPE_TENSOR && type->dtype != array->dtype &&
        lacks_numpy(type->dtype) && array->dtype != GML_STRING &&
        gml_dtype_get_class(array->dtype) != GML_CLASS_COMPLEX)
        return narrow(array, type->dtype, inputs->arena, &out->tensor, diags, loc);
    return GML_OK;
}

/* ---- files --------------------------------------------------------------------------------
 */

static bool starts_with(const gml_file *file, const char *magic, size_t len)
{
    return file->size >= len && memcmp(file->data, magic, len) == 0;
}

/* The array of an .npz that is meant for `name`: the one called so, or the only one. */
static gml_status pick(const gml_npz *npz, const char *name, gml_tensor *out, gml_diags *diags,
                       gml_loc loc)
{
    for (size_t i = 0; i < npz->list.count; i++) {
        if (npz->list.count > 1 && strcmp(npz->list.items[i].name, name) != 0)
            continue;
        *out = npz->list.items[i].tensor;
        return GML_OK;
    }
    return gml_fail(diags, GML_E_INVALID, loc, "has %zu arrays, and none is called '%s'",
                    npz->list.count, name);
}

/* Numbers that are not given are the model's. */
static gml_status complete(const gml_inputs *inputs, gml_picture_options *options,
                           gml_diags *diags)
{
    gml_preparation p = {.has_mean = options->n_mean != 0, .has_std = options->n_std != 0};
    if (options->skip_normalize)
        return GML_OK;
    GML_TRY(gml_preparation_complete(&p, inputs->model, diags));
    if (p.has_mean && options->n_mean == 0) {
        memcpy(options->mean, p.mean, sizeof p.mean);
        options->n_mean = 3;
    }
    if (p.has_std && options->n_std == 0) {
        memcpy(options->std, p.std, sizeof p.std);
        options->n_std = 3;
    }
    return GML_OK;
}

static gml_status parse(gml_inputs *inputs, size_t index, const gml_file *file, gml_rvalue *out,
                        gml_diags *diags, gml_loc loc)
{
    gml_arena *arena = inputs->arena;
    gml_tensor array = {0};
    if (starts_with(file, "\x93NUMPY", 6)) {
        GML_TRY(gml_npy_parse(file->data, file->size, arena, &array, diags, loc));
        return set_array(inputs, index, &array, out, diags, loc);
    }
    if (starts_with(file, "PK\3\4", 4)) {
        gml_npz npz = {0};
        GML_TRY(gml_npz_parse(file->data, file->size, arena, &npz, diags, loc));
        GML_TRY(pick(&npz, gml_model_inputs(inputs->model)[index].name, &array, diags, loc));
        return set_array(inputs, index, &array, out, diags, loc);
    }
    if (gml_picture_is(file->data, file->size)) {
        gml_picture_file picture = {file->data, file->size, loc};
        gml_picture_options options = inputs->picture;
        GML_TRY(complete(inputs, &options, diags));
        GML_TRY(gml_picture_read(&picture, declared_type(inputs, index), &options, arena,
                                 &array, diags));
        return set_array(inputs, index, &array, out, diags, loc);
    }
    gml_file_value value;
    GML_TRY(
        gml_tensor_file_parse(file, declared_type(inputs, index), arena, &value, diags, loc));
    return to_rvalue(&value, arena, out, diags, loc);
}

static gml_status find_input(const gml_inputs *inputs, const char *name, const char *path,
                             size_t *out_index, gml_diags *diags)
{
    const gml_port *ports = gml_model_inputs(inputs->model);
    size_t n = gml_model_n_inputs(inputs->model);
    gml_loc loc = {.file = gml_model_source(inputs->model)->path};
    if (!name && n != 1)
        return gml_fail(diags, GML_E_USAGE, loc,
                        "has %zu inputs: say for which %s is, as NAME=FILE", n, path);
    for (size_t i = 0; i < n; i++) {
        if (name && strcmp(ports[i].name, name) != 0)
            continue;
        if (inputs->files[i])
            return gml_fail(diags, GML_E_USAGE, loc, "input '%s' is given twice: %s and %s",
                            ports[i].name, inputs->files[i], path);
        *out_index = i;
        return GML_OK;
    }
    return gml_name_fail(diags, loc, "input", name,
                         gml_input_names(gml_model_module(inputs->model), inputs->arena), n);
}

static gml_status accept(gml_inputs *inputs, size_t index, const char *path, gml_rvalue *value,
                         gml_diags *diags)
{
    gml_status status = gml_model_check_input(inputs->model, index, value, diags);
    if (status != GML_OK) {
        gml_note(diags, "the value is that of %s", path);
        gml_rvalue_reset(value);
        return status;
    }
    inputs->values[index] = *value;
    inputs->files[index] = gml_arena_text(inputs->arena, path, strlen(path));
    return GML_OK;
}

gml_status gml_inputs_read(gml_inputs *inputs, const char *name, const char *path,
                           gml_diags *diags)
{
    size_t index = 0;
    gml_file file;
    gml_rvalue value = {0};
    GML_TRY(find_input(inputs, name, path, &index, diags));
    GML_TRY(gml_file_map(path, &file, diags));
    gml_status status = parse(inputs, index, &file, &value, diags, (gml_loc){.file = path});
    gml_file_unmap(&file);
    GML_TRY(status);
    return accept(inputs, index, path, &value, diags);
}

gml_status gml_inputs_read_npz(gml_inputs *inputs, const char *path, gml_diags *diags)
{
    gml_npz npz = {0};
    gml_loc loc = {.file = path};
    GML_TRY(gml_npz_read(path, inputs->arena, &npz, diags));
    for (size_t i = 0; i < npz.list.count; i++) {
        size_t index = 0;
        gml_rvalue value = {0};
        GML_TRY(find_input(inputs, npz.list.items[i].name, path, &index, diags));
        GML_TRY(set_array(inputs, index, &npz.list.items[i].tensor, &value, diags, loc));
        GML_TRY(accept(inputs, index, path, &value, diags));
    }
    return GML_OK;
}
