/* api/output.c - results as files, all of them or none. */
#define _POSIX_C_SOURCE 200809L

#include "api/output.h"

#include "base/leftover.h"
#include "frontend/npy.h"
#include "frontend/tensor_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static gml_status fail_errno(gml_diags *diags, const char *path, const char *what)
{
    const char *reason = strerror(errno);
    return gml_fail(diags, GML_E_IO, (gml_loc){.file = path}, "%s: %s", what, reason);
}

gml_status gml_output_open(gml_output_folder *folder, const char *path, gml_diags *diags)
{
    *folder = (gml_output_folder){0};
    gml_arena_init(&folder->arena);
    folder->path = gml_arena_text(&folder->arena, path, strlen(path));
    folder->is_new = mkdir(path, 0777) == 0;
    if (!folder->is_new && errno != EEXIST) {
        gml_status status = fail_errno(diags, path, "cannot make the folder");
        gml_output_close(folder);
        return status;
    }
    if (folder->is_new)
        gml_leftover_add(folder->path);
    char *hidden = gml_arena_printf(&folder->arena, "%s/.gemel-XXXXXX", path);
    if (!mkdtemp(hidden)) {
        gml_status status = fail_errno(diags, path, "cannot write into the folder");
        gml_output_close(folder);
        return status;
    }
    folder->hidden = hidden;
    gml_leftover_add(hidden);
    return GML_OK;
}

/* ---- one value ----------------------------------------------------------------------------
 */

static bool has_numpy_type(const gml_rvalue *value)
{
    if (value->kind != GML_RVALUE_TENSOR || value->is_optional)
        return false;
    switch (value->tensor.dtype) {
    case GML_F16:
    case GML_F32:
    case GML_F64:
    case GML_I8:
    case GML_I16:
    case GML_I32:
    case GML_I64:
    case GML_U8:
    case GML_U16:
    case GML_U32:
    case GML_U64:
    case GML_BOOL:
    case GML_C64:
    case GML_C128:
    case GML_STRING: return true;
    case GML_NONE:
    case GML_BF16:
    case GML_F8E4M3FN:
    case GML_F8E4M3FNUZ:
    case GML_F8E5M2:
    case GML_F8E5M2FNUZ:
    case GML_F8E8M0:
    case GML_F4E2M1:
    case GML_U4:
    case GML_I4:
    case GML_U2:
    case GML_I2:
    case GML_DTYPE_COUNT: break;
    }
    return false;
}

/* The values of a map, one tensor while it runs, are a sequence in a file. */
static void split_scalars(const gml_tensor *tensor, gml_arena *arena, gml_file_value *out)
{
    size_t n = (size_t)gml_tensor_numel(tensor);
    size_t size = gml_dtype_size(tensor->dtype);
    *out = (gml_file_value){.kind = GML_FILE_SEQUENCE, .n_items = n};
    out->items = gml_new_array(arena, gml_file_value, n + 1);
    for (size_t i = 0; i < n; i++) {
        out->items[i].kind = GML_FILE_TENSOR;
        out->items[i].tensor =
            (gml_tensor){.dtype = tensor->dtype, .data = (char *)tensor->data + i * size};
    }
}

static gml_file_value to_file(const gml_rvalue *value, gml_arena *arena)
{
    gml_file_value file = {.kind = GML_FILE_TENSOR};
    if (value->is_optional) {
        gml_rvalue inner = *value;
        inner.is_optional = false;
        file.kind = GML_FILE_OPTIONAL;
        file.items = gml_new_array(arena, gml_file_value, 1);
        file.n_items = value->kind != GML_RVALUE_NONE;
        if (file.n_items)
            file.items[0] = to_file(&inner, arena);
        return file;
    }
    if (value->kind == GML_RVALUE_TENSOR) {
        file.tensor = value->tensor;
        return file;
    }
    file.kind = value->kind == GML_RVALUE_MAP ? GML_FILE_MAP : GML_FILE_SEQUENCE;
    file.n_items = value->n_items;
    file.items = gml_new_array(arena, gml_file_value, value->n_items + 1);
    for (size_t i = 0; i < value->n_items; i++) {
        if (value->kind == GML_RVALUE_MAP && i == 1 &&
            value->items[i].kind == GML_RVALUE_TENSOR)
            split_scalars(&value->items[i].tensor, arena, &file.items[i]);
        else
            file.items[i] = to_file(&value->items[i], arena);
    }
    return file;
}

static gml_status write_one(gml_output_folder *folder, size_t index, const gml_rvalue *value,
                            const char *name, gml_diags *diags)
{
    bool is_array = has_numpy_type(value);
    const char *file =
        gml_arena_printf(&folder->arena, "output_%zu.%s", index, is_array ? "npy" : "pb");
    const char *path = gml_arena_printf(&folder->arena, "%s/%s", folder->hidden, file);
    folder->files[index] = file;
    folder->paths[index] = path;
    folder->n_files = index + 1;
    gml_leftover_add(path);
    if (is_array)
        return gml_npy_write(path, &value->tensor, diags);
    gml_file_value message = to_file(value, &folder->arena);
    message.name = name;
    return gml_value_file_write(path, &message, diags);
}

/* ---- all of them --------------------------------------------------------------------------
 */

/* A message names the place where the file was to be, not the hidden one. */
static void show_final_paths(gml_output_folder *folder, gml_diags *diags)
{
    size_t len = strlen(folder->hidden);
    for (size_t i = 0; i < diags->list.count; i++) {
        gml_loc *loc = &diags->list.items[i].loc;
        if (loc->file && strncmp(loc->file, folder->hidden, len) == 0)
            loc->file = gml_arena_printf(diags->arena, "%s%s", folder->path, loc->file + len);
    }
}

gml_status gml_output_write(gml_output_folder *folder, const gml_rvalue *values,
                            const char *const *names, size_t n_values, gml_diags *diags)
{
    gml_status status = GML_OK;
    folder->files = gml_new_array(&folder->arena, const char *, n_values + 1);
    folder->paths = gml_new_array(&folder->arena, const char *, n_values + 1);
    for (size_t i = 0; i < n_values && status == GML_OK; i++)
        status = write_one(folder, i, &values[i], names[i], diags);
    if (status != GML_OK) {
        show_final_paths(folder, diags);
        return status;
    }
    const char **places = gml_new_array(&folder->arena, const char *, n_values + 1);
    for (size_t i = 0; i < n_values; i++)
        places[i] = gml_arena_printf(&folder->arena, "%s/%s", folder->path, folder->files[i]);
    for (size_t i = 0; i < n_values; i++) /* which takes no memory: none or all */
        if (rename(folder->paths[i], places[i]) != 0)
            return fail_errno(diags, places[i], "cannot write");
    folder->is_new = false;
    return GML_OK;
}

void gml_output_close(gml_output_folder *folder)
{
    for (size_t i = 0; folder->hidden && i < folder->n_files; i++) {
        (void)unlink(folder->paths[i]); /* gone already when all went well */
        gml_leftover_drop(folder->paths[i]);
    }
    if (folder->hidden) {
        (void)rmdir(folder->hidden);
        gml_leftover_drop(folder->hidden);
    }
    if (folder->is_new)
        (void)rmdir(folder->path);
    gml_leftover_drop(folder->path);
    gml_arena_reset(&folder->arena);
    *folder = (gml_output_folder){0};
}
