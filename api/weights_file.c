/* api/weights_file.c - constants as safetensors. */
#include "api/weights_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the sink ------------------------------------------------------------------------------
 */

static bool put(void *context, const void *bytes, size_t len)
{
    const gml_file_sink *file = context;
    gml_writer_put(file->writer, bytes, len);
    return file->writer->error == 0;
}

static bool put_at(void *context, uint64_t at, const void *bytes, size_t len)
{
    const gml_file_sink *file = context;
    gml_writer_put_at(file->writer, file->base + at, bytes, len);
    return file->writer->error == 0;
}

gml_sink gml_sink_of(gml_file_sink *file)
{
    return (gml_sink){put, put_at, file};
}

/* ---- the header ----------------------------------------------------------------------------
 */

static const char *dtype_text(gml_dtype dtype)
{
    switch ((int)dtype) {
    case GML_F64: return "F64";
    case GML_F32: return "F32";
    case GML_F16: return "F16";
    case GML_BF16: return "BF16";
    case GML_I64: return "I64";
    case GML_I32: return "I32";
    case GML_I16: return "I16";
    case GML_I8: return "I8";
    case GML_U64: return "U64";
    case GML_U32: return "U32";
    case GML_U16: return "U16";
    case GML_U8: return "U8";
    case GML_BOOL: return "BOOL";
    case GML_F8E4M3FN: return "F8_E4M3";
    case GML_F8E5M2: return "F8_E5M2";
    default: return NULL;
    }
}

static json_t *describe(const gml_artifact_tensor *tensor)
{
    const char *dtype = dtype_text(tensor->dtype);
    json_t *shape = json_array();
    for (int d = 0; dtype && d < tensor->rank; d++)
        (void)json_array_append_new(shape, json_integer(tensor->dims[d]));
    if (!dtype)
        (void)json_array_append_new(shape, json_integer((json_int_t)tensor->size));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype ? dtype : "U8", "shape", shape,
                     "data_offsets", (json_int_t)tensor->offset,
                     (json_int_t)(tensor->offset + tensor->size));
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

#define GML_CHECKSUM_DIGITS "0123456789abcdef"

/* Reserves 16 digits for the checksum, which is known last. */
static json_t *make_header(const gml_artifact_plan *plan, gml_arena *arena)
{
    size_t count = 0;
    const gml_artifact_tensor *tensors = gml_artifact_tensors(plan, &count);
    json_t *header = json_pack("{s:{s:s, s:s}}", "__metadata__", "format", "gemel", "checksum",
                               GML_CHECKSUM_DIGITS);
    for (size_t i = 0; i < count; i++) {
        const char *name = find_name(arena, header, tensors[i].name);
        if (json_object_set_new(header, name, describe(&tensors[i])) != 0) {
            json_decref(header);
            return NULL;
        }
    }
    return header;
}

static bool print_header(const gml_artifact_plan *plan, gml_str *out)
{
    gml_arena arena;
    gml_arena_init(&arena);
    json_t *header = make_header(plan, &arena);
    char *text = json_dumps(header, JSON_COMPACT);
    gml_arena_reset(&arena);
    json_decref(header);
    if (!text)
        return false;
    gml_str_append(out, "\0\0\0\0\0\0\0", 8);
    gml_str_puts(out, text);
    free(text);
    while (out->len % GML_ARTIFACT_ALIGN != 0)
        gml_str_putc(out, ' ');
    for (unsigned i = 0; i < 8; i++)
        out->text[i] = (char)((uint64_t)(out->len - 8) >> (8 * i));
    return true;
}

/* The first such digits are those of the metadata, which come first. */
static void set_checksum(gml_str *header, uint64_t checksum)
{
    char digits[17];
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)checksum);
    memcpy(strstr(header->text + 8, GML_CHECKSUM_DIGITS), digits, 16);
}

static gml_status put_file(gml_artifact_plan *plan, const char *name, gml_str *header,
                           gml_writer *writer)
{
    size_t count = 0;
    const gml_artifact_tensor *tensors = gml_artifact_tensors(plan, &count);
    gml_artifact_file file = {.name = name, .constants = header->len, .size = header->len};
    gml_file_sink constants = {writer, header->len};
    gml_sink sink = gml_sink_of(&constants);
    gml_writer_put(writer, header->text, header->len);
    GML_TRY(gml_artifact_put_constants(plan, &sink, &file.constants_checksum));
    set_checksum(header, file.constants_checksum);
    gml_writer_put_at(writer, 0, header->text, header->len);
    if (count != 0)
        file.size += tensors[count - 1].offset + tensors[count - 1].size;
    file.head_checksum = gml_artifact_head_checksum(header->text, header->len);
    gml_artifact_plan_file(plan, &file);
    return writer->error == 0 ? GML_OK : GML_E_IO;
}

gml_status gml_weights_put(gml_artifact_plan *plan, const char *name, gml_writer *writer)
{
    gml_str header;
    gml_str_init(&header);
    gml_status status =
        print_header(plan, &header) ? put_file(plan, name, &header, writer) : GML_E_MEMORY;
    gml_str_reset(&header);
    return status;
}
