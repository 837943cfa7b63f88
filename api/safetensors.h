/* api/safetensors.h - the safetensors format: the length of a header (8 bytes, little-endian),
 * the header in JSON, the elements without gaps.
 *
 * The header has dtype, shape and data_offsets by name, and texts under "__metadata__". What
 * the format has no type for is U8. Ours is padded with spaces so that elements begin at a
 * multiple of 4096 bytes.
 */
#ifndef GML_API_SAFETENSORS_H
#define GML_API_SAFETENSORS_H

#include "base/file.h"
#include "base/str.h"
#include "runtime/value.h"

typedef struct gml_safetensor {
    const char *name; /* made unique and UTF-8 when written; NULL: "constant" */
    gml_tensor tensor;
    uint64_t offset; /* from the first element on */
    uint64_t size;   /* bytes */
} gml_safetensor;

typedef struct gml_safetensors_text {
    const char *key;
    const char *value;
} gml_safetensors_text;

/* Appends the header, its length in front. False when there is no memory. */
bool gml_safetensors_header(const gml_safetensor *tensors, size_t n_tensors,
                            const gml_safetensors_text *texts, size_t n_texts, gml_str *out);

/* Writes a whole file, which appears whole or not at all. Offsets and sizes are found here. */
GML_MUST_CHECK gml_status gml_safetensors_write(const char *path, gml_safetensor *tensors,
                                                size_t n_tensors,
                                                const gml_safetensors_text *texts,
                                                size_t n_texts, gml_diags *diags);

/* A file that is read. */
typedef struct gml_safetensors {
    gml_file file;
    const char *path; /* the caller's */
    gml_arena arena;
    gml_safetensor *tensors; /* in the order of their offsets; elements lie in the file */
    size_t n_tensors;
    gml_safetensors_text *texts;
    size_t n_texts;
} gml_safetensors;

/* GML_E_INVALID when the header or an offset is wrong; nothing is to be closed then. */
GML_MUST_CHECK gml_status gml_safetensors_open(const char *path, gml_safetensors *out,
                                               gml_diags *diags);
void gml_safetensors_close(gml_safetensors *file);
/* NULL when there is none of that name. */
const gml_safetensor *gml_safetensors_find(const gml_safetensors *file, const char *name);

#endif
