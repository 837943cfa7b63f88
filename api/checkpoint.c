/* api/checkpoint.c - checkpoints, written and found again. */
#include "api/checkpoint.h"

#include "api/checkpoint_files.h"
#include "base/map.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GML_MANIFEST_FORMAT "gemel checkpoint 1"
#define GML_MAX_MANIFEST    ((size_t)1 << 20) /* bytes */

/* ---- the checksum -------------------------------------------------------------------------
 */

/* Of names, types, shapes and elements, in the order of the file. */
static uint64_t checksum(const gml_safetensor *items, size_t n)
{
    uint64_t hash = n;
    for (size_t i = 0; i < n; i++) {
        const gml_tensor *tensor = &items[i].tensor;
        int64_t shape[GML_MAX_RANK + 2] = {tensor->dtype, tensor->rank};
        for (int d = 0; d < tensor->rank; d++)
            shape[2 + d] = tensor->dims[d];
        hash = gml_hash_bytes(items[i].name, strlen(items[i].name), hash);
        hash = gml_hash_bytes(shape, (size_t)(2 + tensor->rank) * sizeof *shape, hash);
        hash = gml_hash_bytes(tensor->data, (size_t)items[i].size, hash);
    }
    return hash;
}

typedef struct hex {
    char digits[17];
} hex;

static hex hex_of(uint64_t value)
{
    hex text;
    snprintf(text.digits, sizeof text.digits, "%016" PRIx64, value);
    return text;
}

static bool read_hex(const char *text, uint64_t *out_value)
{
    char *end = NULL;
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *out_value = strtoull(text, &end, 16);
    return true;
}

/* ---- writing ------------------------------------------------------------------------------
 */

static gml_status write_manifest(const char *path, const gml_checkpoint *c, uint64_t sum,
                                 gml_diags *diags)
{
    json_t *manifest = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:s, s:s}", "format",
        GML_MANIFEST_FORMAT, "step", (json_int_t)c->step, "epoch", (json_int_t)c->epoch,
        "batch", (json_int_t)c->batch, "bad", (json_int_t)c->bad, "model", c->model, "graph",
        hex_of(c->graph).digits, "data", c->data, "n_pictures", (json_int_t)c->n_pictures,
        "pictures", hex_of(c->pictures).digits, "checksum", hex_of(sum).digits);
    char *text = manifest != NULL ? json_dumps(manifest, JSON_INDENT(2)) : NULL;
    json_decref(manifest);
    if (text == NULL)
        return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = path},
                        "the model's path is no UTF-8");
    gml_status status = gml_file_write(path, text, strlen(text), diags);
    free(text);
    return status;
}

/* The header of the states' file is JSON. */
static gml_status check_names(const gml_safetensor *items, size_t n, gml_diags *diags)
{
    for (size_t i = 0; i < n; i++) {
        json_t *text = json_string(items[i].name);
        json_decref(text);
        if (text == NULL)
            return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.node = items[i].name},
                            "the name of this state is no UTF-8: no checkpoint can hold it");
    }
    return GML_OK;
}

gml_status gml_checkpoint_save(const char *folder, const gml_state_file *states,
                               const gml_checkpoint *checkpoint, int64_t keep,
                               const char **out_path, gml_diags *diags)
{
    int64_t step = checkpoint->step;
    gml_safetensor *items = states->items.items;
    size_t n = states->items.count;
    const char *path = gml_checkpoint_path(folder, step, ".safetensors", diags->arena);
    const char *manifest = gml_checkpoint_path(folder, step, ".json", diags->arena);
    GML_TRY(check_names(items, n, diags));
    GML_TRY(
        gml_safetensors_write(path, items, n, states->texts.items, states->texts.count, diags));
    GML_TRY(write_manifest(manifest, checkpoint, checksum(items, n), diags));
    gml_checkpoint_prune(folder, step, keep);
    *out_path = path;
    return GML_OK;
}

/* ---- reading ------------------------------------------------------------------------------
 */

static bool is_count(json_int_t n, json_int_t most)
{
    return n >= 0 && n <= most;
}

/* NULL, or what is wrong with it. */
static const char *take_manifest(json_t *manifest, gml_arena *arena, gml_checkpoint *out,
                                 uint64_t *out_sum)
{
    const char *format = NULL;
    const char *model = NULL;
    const char *graph = NULL;
    const char *data = NULL;
    const char *pictures = NULL;
    const char *sum = NULL;
    json_int_t step = 0;
    json_int_t epoch = 0;
    json_int_t batch = 0;
    json_int_t bad = 0;
    json_int_t n_pictures = 0;
    if (json_unpack(manifest, "{s:s, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:I, s:s, s:s}",
                    "format", &format, "step", &step, "epoch", &epoch, "batch", &batch, "bad",
                    &bad, "model", &model, "graph", &graph, "data", &data, "n_pictures",
                    &n_pictures, "pictures", &pictures, "checksum", &sum) != 0)
        return "something is missing in the manifest";
    if (strcmp(format, GML_MANIFEST_FORMAT) != 0)
        return "the manifest is of another format";
    if (!is_count(step, INT64_MAX) || !is_count(epoch, UINT32_MAX) ||
        !is_count(batch, UINT32_MAX) || !is_count(bad, UINT32_MAX) ||
        !is_count(n_pictures, UINT32_MAX) || !read_hex(graph, &out->graph) ||
        !read_hex(pictures, &out->pictures) || !read_hex(sum, out_sum))
        return "a number of the manifest is none";
    out->step = step;
    out->epoch = (uint32_t)epoch;
    out->batch = (uint32_t)batch;
    out->bad = (uint32_t)bad;
    out->n_pictures = (uint32_t)n_pictures;
    out->model = gml_arena_text(arena, model, strlen(model));
    out->data = gml_arena_text(arena, data, strlen(data));
    return NULL;
}

static const char *read_manifest(const char *path, gml_arena *arena, gml_checkpoint *out,
                                 uint64_t *out_sum, gml_diags *diags)
{
    gml_file file;
    json_error_t error;
    if (gml_file_map(path, &file, diags) != GML_OK)
        return "the manifest cannot be read";
    json_t *manifest = file.size <= GML_MAX_MANIFEST
                           ? json_loadb(file.data, file.size, JSON_REJECT_DUPLICATES, &error)
                           : NULL;
    gml_file_unmap(&file);
    const char *why = json_is_object(manifest) ? take_manifest(manifest, arena, out, out_sum)
                                               : "the manifest is no JSON object";
    json_decref(manifest);
    return why;
}

/* NULL when the checkpoint is whole, or what is wrong with it. */
static const char *examine(const char *folder, int64_t step, gml_arena *arena,
                           gml_found_checkpoint *found, gml_diags *diags)
{
    uint64_t sum = 0;
    gml_safetensors file;
    const char *why = read_manifest(gml_checkpoint_path(folder, step, ".json", arena), arena,
                                    &found->checkpoint, &sum, diags);
    if (why != NULL)
        return why;
    if (found->checkpoint.step != step)
        return "the manifest is that of another step";
    found->path = gml_checkpoint_path(folder, step, ".safetensors", arena);
    if (gml_safetensors_open(found->path, &file, diags) != GML_OK)
        return "the states cannot be read";
    if (checksum(file.tensors, file.n_tensors) != sum)
        why = "the states have another checksum";
    gml_safetensors_close(&file);
    return why;
}

gml_status gml_checkpoint_find(const char *folder, gml_arena *arena,
                               gml_found_checkpoint *out_found, gml_diags *diags)
{
    gml_checkpoint_steps steps;
    GML_TRY(gml_checkpoint_list(folder, arena, &steps, diags));
    *out_found = (gml_found_checkpoint){.path = NULL};
    const char *damaged = NULL;
    size_t before = diags->list.count;
    for (size_t i = 0; i < steps.count; i++) {
        gml_found_checkpoint found = {.path = NULL};
        const char *why = examine(folder, steps.items[i], arena, &found, diags);
        gml_diags_truncate(diags, before);
        if (why == NULL) {
            found.damaged = damaged;
            *out_found = found;
            return GML_OK;
        }
        damaged = gml_arena_printf(arena, "%s%s: %s\n", damaged != NULL ? damaged : "",
                                   gml_checkpoint_path(folder, steps.items[i], "", arena), why);
    }
    if (damaged == NULL)
        return GML_OK;
    gml_status status = gml_fail(diags, GML_E_INVALID, (gml_loc){.file = folder},
                                 "none of its %zu checkpoints is whole", steps.count);
    gml_note(diags, "%s", damaged);
    return status;
}
