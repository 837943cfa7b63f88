/* runtime/artifact_put.c - a planned image to bytes, one constant at a time. */
#include "runtime/artifact_writer.h"

#include <stdlib.h>
#include <string.h>

/* ---- Constants -------------------------------------------------------------------------- */

/* Bytes on their way to the sink, hashed in whole blocks. */
typedef struct stream {
    const gml_sink *sink;
    unsigned char *block; /* of GML_BLOCK bytes */
    size_t filled;
    uint64_t hash;
} stream;

static bool flush(stream *s)
{
    if (s->filled == 0)
        return true;
    s->hash = gml_hash_bytes(s->block, s->filled, s->hash);
    bool done = s->sink->put(s->sink->context, s->block, s->filled);
    s->filled = 0;
    return done;
}

static bool put(stream *s, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size != 0) {
        size_t room = GML_BLOCK - s->filled;
        size_t n = size < room ? size : room;
        memcpy(s->block + s->filled, at, n);
        s->filled += n;
        at += n;
        size -= n;
        if (s->filled == GML_BLOCK && !flush(s))
            return false;
    }
    return true;
}

/* In pieces, so that a large constant need not be in memory whole, either. */
static gml_status put_data(const gml_artifact_options *options, stream *s, const char *data,
                           size_t size)
{
    for (size_t at = 0; at < size; at += GML_BLOCK) {
        size_t n = size - at < GML_BLOCK ? size - at : GML_BLOCK;
        if (!put(s, data + at, n))
            return GML_E_IO;
        if (options->wrote != NULL)
            options->wrote(options->context, data + at, n);
    }
    return GML_OK;
}

static gml_status put_blob(const gml_artifact_plan *plan, stream *s, const gml_blob *blob)
{
    const gml_artifact_options *options = &plan->options;
    size_t size = (size_t)blob->tensor.size;
    if (blob->data != NULL)
        return put_data(options, s, blob->data, size);
    gml_buffer *buffer = gml_buffer_create(size, true);
    if (buffer == NULL)
        return GML_E_MEMORY;
    void *bytes = gml_buffer_data(buffer);
    gml_status status = options->make(options->context, blob->program, blob->slot, bytes);
    if (status == GML_OK && !put(s, bytes, size))
        status = GML_E_IO;
    gml_buffer_release(buffer);
    return status;
}

gml_status gml_artifact_put_constants(gml_artifact_plan *plan, const gml_sink *sink,
                                      uint64_t *out_checksum)
{
    gml_status status = GML_OK;
    stream s = {.sink = sink, .block = malloc(GML_BLOCK)};
    if (s.block == NULL)
        return GML_E_MEMORY;
    for (size_t i = 0; i < plan->blobs.count && status == GML_OK; i++)
        status = put_blob(plan, &s, plan->order[i]);
    if (status == GML_OK && !flush(&s))
        status = GML_E_IO;
    free(s.block);
    *out_checksum = s.hash;
    return status;
}

/* ---- The image -------------------------------------------------------------------------- */

/* Where the constants begin, and how many bytes of them the image has. */
typedef struct layout {
    size_t description;
    uint64_t constants, constants_size;
} layout;

static uint64_t align(uint64_t size)
{
    return (size + GML_ARTIFACT_ALIGN - 1) / GML_ARTIFACT_ALIGN * GML_ARTIFACT_ALIGN;
}

static layout lay_out(const gml_artifact_plan *plan, size_t description)
{
    layout at = {description, GML_HEADER_SIZE + description, 0};
    if (plan->file.name == NULL && plan->constants_size != 0) {
        at.constants = align(at.constants);
        at.constants_size = plan->constants_size;
    }
    return at;
}

static size_t description_size(const gml_artifact_plan *plan)
{
    gml_str options;
    gml_str_init(&options);
    gml_artifact_put_options(plan, &options);
    size_t size = options.len + plan->program.len;
    gml_str_reset(&options);
    return size;
}

uint64_t gml_artifact_size(const gml_artifact_plan *plan)
{
    layout at = lay_out(plan, description_size(plan));
    return at.constants + at.constants_size;
}

/* All but the constants and their checksum: header, description, and zeros up to where they
 * begin. */
static void make_head(const gml_artifact_plan *plan, gml_str *out, layout *out_layout)
{
    static const char zeros[GML_ARTIFACT_ALIGN];
    gml_str_append(out, GML_ARTIFACT_MAGIC, 8);
    gml_str_append(out, zeros, GML_HEADER_SIZE - 8);
    gml_artifact_put_options(plan, out);
    gml_str_append(out, plan->program.text, plan->program.len);
    layout at = lay_out(plan, out->len - GML_HEADER_SIZE);
    gml_str_append(out, zeros, (size_t)at.constants - out->len);
    unsigned char *image = (unsigned char *)out->text;
    gml_store_number(image + GML_AT_VERSION, GML_ABI_VERSION, 4);
    gml_store_number(image + GML_AT_SIZE, at.constants + at.constants_size, 8);
    gml_store_number(image + GML_AT_DESCRIPTION, at.description, 8);
    gml_store_number(image + GML_AT_CONSTANTS, at.constants, 8);
    gml_store_number(image + GML_AT_CONSTANTS_SIZE, at.constants_size, 8);
    gml_store_number(image + GML_AT_CHECKSUM, gml_image_checksum(image, at.description), 8);
    *out_layout = at;
}

gml_status gml_artifact_put(gml_artifact_plan *plan, const gml_sink *sink)
{
    layout at;
    gml_str head;
    gml_str_init(&head);
    make_head(plan, &head, &at);
    gml_status status = sink->put(sink->context, head.text, head.len) ? GML_OK : GML_E_IO;
    gml_str_reset(&head);
    if (status != GML_OK || at.constants_size == 0)
        return status;
    uint64_t checksum = 0;
    unsigned char bytes[8];
    GML_TRY(gml_artifact_put_constants(plan, sink, &checksum));
    gml_store_number(bytes, checksum, 8);
    return sink->put_at(sink->context, GML_AT_CONSTANTS_CHECKSUM, bytes, sizeof bytes)
               ? GML_OK
               : GML_E_IO;
}

/* ---- In memory -------------------------------------------------------------------------- */

static bool append(void *context, const void *bytes, size_t len)
{
    gml_str_append(context, bytes, len);
    return true;
}

static bool overwrite(void *context, uint64_t at, const void *bytes, size_t len)
{
    gml_str *out = context;
    memcpy(out->text + at, bytes, len);
    return true;
}

gml_status gml_artifact_write(const gml_program *program, const gml_artifact_options *options,
                              gml_str *out, gml_diags *diags)
{
    gml_artifact_plan *plan = NULL;
    GML_TRY(gml_artifact_plan_create(program, options, &plan, diags));
    gml_sink sink = {append, overwrite, out};
    gml_status status = gml_artifact_put(plan, &sink);
    gml_artifact_plan_destroy(plan);
    return status;
}

bool gml_artifact_seal(void *bytes, size_t len)
{
    unsigned char *image = bytes;
    if (len < GML_HEADER_SIZE)
        return false;
    uint64_t description = gml_load_number(image + GML_AT_DESCRIPTION, 8);
    uint64_t constants = gml_load_number(image + GML_AT_CONSTANTS, 8);
    uint64_t size = gml_load_number(image + GML_AT_CONSTANTS_SIZE, 8);
    if (description > len - GML_HEADER_SIZE || constants > len || size > len - constants)
        return false;
    gml_store_number(image + GML_AT_CONSTANTS_CHECKSUM,
                     gml_constants_checksum(image + constants, (size_t)size), 8);
    gml_store_number(image + GML_AT_CHECKSUM, gml_image_checksum(image, (size_t)description),
                     8);
    return true;
}
