/* api/safetensors.c - the safetensors format, written and read. */
#include "api/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define GML_SAFETENSORS_ALIGN 4096
#define GML_SAFETENSORS_MAX_HEADER                                                             \
    ((uint64_t)100 << 20) /* as the format's own library has it */

static const struct {
    const char *text;
    gml_dtype dtype;
} dtypes[] = {
    {"F64", GML_F64},   {"F32", GML_F32},          {"F16", GML_F16},        {"BF16", GML_BF16},
    {"I64", GML_I64},   {"I32", GML_I32},          {"I16", GML_I16},        {"I8", GML_I8},
    {"U64", GML_U64},   {"U32", GML_U32},          {"U16", GML_U16},        {"U8", GML_U8},
    {"BOOL", GML_BOOL}, {"F8_E4M3", GML_F8E4M3FN}, {"F8_E5M2", GML_F8E5M2},
};
#define GML_N_DTYPES (sizeof dtypes / sizeof *dtypes)

static const char *dtype_text(gml_dtype dtype)
{
    for (size_t i = 0; i < GML_N_DTYPES; i++)
        if (dtypes[i].dtype == dtype)
            return dtypes[i].text;
    return NULL;
}

static gml_dtype find_dtype(const char *text)
{
    for (size_t i = 0; i < GML_N_DTYPES; i++)
        if (strcmp(dtypes[i].text, text) == 0)
            return dtypes[i].dtype;
    return GML_NONE;
}

/* ---- writing ------------------------------------------------------------------------------
 */

static json_t *describe(const gml_safetensor *item)
{
    const char *dtype = dtype_text(item->tensor.dtype);
    json_t *shape = json_array();
    for (int d = 0; dtype && d < item->tensor.rank; d++)
        (void)json_array_append_new(shape, json_integer(item->tensor.dims[d]));
    if (!dtype)
        (void)json_array_append_new(shape, json_integer((json_int_t)item->size));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype ? dtype : "U8", "shape", shape,
                     "data_offsets", (json_int_t)item->offset,
                     (json_int_t)(item->offset + item->size));
}

/* A name that is not in `header` yet; bytes that are no UTF-8 become '?'. */
static const char *find_name(gml_arena *arena, const json_t *header, const char *wanted)
{
    char *name = gml_arena_printf(arena, "%s", wanted && *wanted ? wanted : "constant");
    json_t *text = json_string(name);
    for (char *at = name; !text && *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    json_decref(text);
    const char *unique = name;
    for (unsigned i = 2; json_object_get(header, unique); i++)
        unique = gml_arena_printf(arena, "%s.%u", name, i);
    return unique;
}

/* Bytes that are no UTF-8, which texts of models may have, become '?'. */
static json_t *make_text(const char *text, gml_arena *arena)
{
    json_t *json = json_string(text);
    if (json)
        return json;
    char *copy = gml_arena_text(arena, text, strlen(text));
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at >= 0x80)
            *at = '?';
    return json_string(copy);
}

static json_t *make_header(const gml_safetensor *tensors, size_t n_tensors,
                           const gml_safetensors_text *texts, size_t n_texts, gml_arena *arena)
{
    json_t *header = json_object();
    json_t *metadata = json_object();
    bool ok = header && metadata;
    for (size_t i = 0; i < n_texts && ok; i++)
        ok = json_object_set_new(metadata, find_name(arena, metadata, texts[i].key),
                                 make_text(texts[i].value, arena)) == 0;
    ok = ok && json_object_set(header, "__metadata__", metadata) == 0;
    for (size_t i = 0; i < n_tensors && ok; i++) {
        const char *name = find_name(arena, header, tensors[i].name);
        ok = json_object_set_new(header, name, describe(&tensors[i])) == 0;
    }
    json_decref(metadata);
    if (ok)
        return header;
    json_decref(header);
    return NULL;
}

bool gml_safetensors_header(const gml_safetensor *tensors, size_t n_tensors,
                            const gml_safetensors_text *texts, size_t n_texts, gml_str *out)
{
    gml_arena arena;
    gml_arena_init(&arena);
    json_t *header = make_header(tensors, n_tensors, texts, n_texts, &arena);
    char *text = header ? json_dumps(header, JSON_COMPACT) : NULL;
    gml_arena_reset(&arena);
    json_decref(header);
    if (!text)
        return false;
    size_t start = out->len;
    gml_str_append(out, "\0\0\0\0\0\0\0", 8);
    gml_str_puts(out, text);
    free(text);
    while ((out->len - start) % GML_SAFETENSORS_ALIGN != 0)
        gml_str_putc(out, ' ');
    for (unsigned i = 0; i < 8; i++)
        out->text[start + i] = (char)((uint64_t)(out->len - start - 8) >> (8 * i));
    return true;
}

static gml_status place(gml_safetensor *tensors, size_t n_tensors, gml_diags *diags)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < n_tensors; i++) {
        size_t size = 0;
        if (tensors[i].tensor.dtype == GML_STRING ||
            !gml_tensor_bytes(&tensors[i].tensor, &size))
            return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.node = tensors[i].name},
                            "texts cannot be written as safetensors");
        tensors[i].offset = offset;
        tensors[i].size = size;
        offset += size;
    }
    return GML_OK;
}

gml_status gml_safetensors_write(const char *path, gml_safetensor *tensors, size_t n_tensors,
                                 const gml_safetensors_text *texts, size_t n_texts,
                                 gml_diags *diags)
{
    gml_writer writer;
    gml_str header;
    GML_TRY(place(tensors, n_tensors, diags));
    gml_str_init(&header);
    gml_status status = GML_OK;
    if (!gml_safetensors_header(tensors, n_tensors, texts, n_texts, &header))
        status = gml_fail(diags, GML_E_MEMORY, (gml_loc){.file = path}, "no memory for it");
    if (status == GML_OK)
        status = gml_writer_open(&writer, path, diags);
    if (status == GML_OK) {
        gml_writer_put(&writer, header.text, header.len);
        for (size_t i = 0; i < n_tensors; i++)
            gml_writer_put(&writer, tensors[i].tensor.data, (size_t)tensors[i].size);
        status = gml_writer_close(&writer, diags);
    }
    gml_str_reset(&header);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------
 */

static gml_status refuse(const gml_safetensors *file, const char *name, const char *what,
                         gml_diags *diags)
{
    return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = file->path, .node = name}, "%s",
                    what);
}

/* `item` of the header; `data` are the `n_bytes` behind it. */
static gml_status read_item(gml_safetensors *file, const char *name, json_t *item, char *data,
                            uint64_t n_bytes, gml_diags *diags)
{
    gml_safetensor *out = &file->tensors[file->n_tensors];
    const char *dtype = NULL;
    json_t *shape = NULL;
    json_int_t begin = 0;
    json_int_t end = 0;
    if (json_unpack(item, "{s:s, s:o, s:[I, I]}", "dtype", &dtype, "shape", &shape,
                    "data_offsets", &begin, &end) != 0 ||
        !json_is_array(shape))
        return refuse(file, name, "has no dtype, shape and offsets", diags);
    gml_tensor *tensor = &out->tensor;
    tensor->dtype = find_dtype(dtype);
    if (tensor->dtype == GML_NONE)
        return gml_fail(diags, GML_E_UNSUPPORTED, (gml_loc){.file = file->path, .node = name},
                        "is of type %.32s, which is not known", dtype);
    if (json_array_size(shape) > GML_MAX_RANK)
        return refuse(file, name, "has too many dimensions", diags);
    tensor->rank = (int)json_array_size(shape);
    for (int d = 0; d < tensor->rank; d++)
        tensor->dims[d] = json_integer_value(json_array_get(shape, (size_t)d));
    size_t size = 0;
    if (!gml_tensor_bytes(tensor, &size) || begin < 0 || end < begin ||
        (uint64_t)end > n_bytes || (uint64_t)(end - begin) != size)
        return refuse(file, name, "its offsets do not fit its shape or the file", diags);
    tensor->data = data + begin;
    out->name = gml_arena_text(&file->arena, name, strlen(name));
    out->offset = (uint64_t)begin;
    out->size = size;
    file->n_tensors++;
    return GML_OK;
}

static void read_texts(gml_safetensors *file, json_t *metadata)
{
    const char *key = NULL;
    json_t *value = NULL;
    file->texts =
        gml_new_array(&file->arena, gml_safetensors_text, json_object_size(metadata) + 1);
    json_object_foreach(metadata, key, value)
    {
        const char *text = json_string_value(value);
        if (text)
            file->texts[file->n_texts++] =
                (gml_safetensors_text){gml_arena_text(&file->arena, key, strlen(key)),
                                       gml_arena_text(&file->arena, text, strlen(text))};
    }
}

static int by_offset(const void *left, const void *right)
{
    const gml_safetensor *a = left;
    const gml_safetensor *b = right;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (a->size > b->size) - (a->size < b->size);
}

static gml_status read_header(gml_safetensors *file, gml_diags *diags)
{
    const unsigned char *bytes = (const unsigned char *)file->file.data;
    uint64_t len = 0;
    if (file->file.size < 8)
        return refuse(file, NULL, "is too short for a safetensors file", diags);
    for (unsigned i = 0; i < 8; i++)
        len |= (uint64_t)bytes[i] << (8 * i);
    if (len > GML_SAFETENSORS_MAX_HEADER || len > file->file.size - 8)
        return refuse(file, NULL, "is no safetensors file: its header would be longer than it",
                      diags);
    json_error_t error;
    json_t *header =
        json_loadb((const char *)bytes + 8, (size_t)len, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(header)) {
        json_decref(header);
        return refuse(file, NULL, "is no safetensors file: its header is no JSON object",
                      diags);
    }
    union {
        const void *from;
        char *to;
    } data = {bytes + 8 + len};
    gml_status status = GML_OK;
    const char *name = NULL;
    json_t *item = NULL;
    file->tensors = gml_new_array(&file->arena, gml_safetensor, json_object_size(header) + 1);
    json_object_foreach(header, name, item)
    {
        if (strcmp(name, "__metadata__") == 0)
            read_texts(file, item);
        else if (status == GML_OK)
            status = read_item(file, name, item, data.to, file->file.size - 8 - len, diags);
    }
    json_decref(header);
    if (file->n_tensors)
        qsort(file->tensors, file->n_tensors, sizeof *file->tensors, by_offset);
    return status;
}

gml_status gml_safetensors_open(const char *path, gml_safetensors *out, gml_diags *diags)
{
    *out = (gml_safetensors){.path = path};
    GML_TRY(gml_file_map(path, &out->file, diags));
    gml_arena_init(&out->arena);
    gml_status status = read_header(out, diags);
    if (status != GML_OK)
        gml_safetensors_close(out);
    return status;
}

void gml_safetensors_close(gml_safetensors *file)
{
    gml_file_unmap(&file->file);
    gml_arena_reset(&file->arena);
    *file = (gml_safetensors){.n_tensors = 0};
}

const gml_safetensor *gml_safetensors_find(const gml_safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->n_tensors; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}
