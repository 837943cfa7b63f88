/* api/weights_file.c - constants as safetensors. */
#include "api/weights_file.h"

#include "api/safetensors.h"

#include <stdio.h>
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

#define GML_CHECKSUM_DIGITS "0123456789abcdef"

/* Reserves 16 digits for the checksum, which is known last. */
static bool print_header(const gml_artifact_plan *plan, gml_str *out)
{
    size_t count = 0;
    const gml_artifact_tensor *tensors = gml_artifact_tensors(plan, &count);
    const gml_safetensors_text texts[] = {{"format", "gemel"},
                                          {"checksum", GML_CHECKSUM_DIGITS}};
    gml_arena arena;
    gml_arena_init(&arena);
    gml_safetensor *items = gml_new_array(&arena, gml_safetensor, count + 1);
    for (size_t i = 0; i < count; i++) {
        items[i] =
            (gml_safetensor){.name = tensors[i].name,
                             .tensor = {.dtype = tensors[i].dtype, .rank = tensors[i].rank},
                             .offset = tensors[i].offset,
                             .size = tensors[i].size};
        for (int d = 0; d < tensors[i].rank; d++)
            items[i].tensor.dims[d] = tensors[i].dims[d];
    }
    bool ok = gml_safetensors_header(items, count, texts, 2, out);
    gml_arena_reset(&arena);
    return ok;
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
