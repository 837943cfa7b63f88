/* frontend/tensor_file.h - files that hold one value: a TensorProto, SequenceProto,
 * OptionalProto or MapProto, as ONNX's test suite keeps inputs and outputs.
 *
 * Values are copied into the caller's arena (tensor elements aligned to 64 bytes); the file is
 * not kept open. Such files do not say what message they hold: the type of the model's input or
 * output does. Thread-safe for different arenas.
 */
#ifndef GML_FRONTEND_TENSOR_FILE_H
#define GML_FRONTEND_TENSOR_FILE_H

#include "base/file.h"
#include "ir/type.h"

typedef enum gml_file_value_kind {
    GML_FILE_TENSOR,
    GML_FILE_SEQUENCE, /* items */
    GML_FILE_OPTIONAL, /* no item, or one */
    GML_FILE_MAP,      /* items: keys (a tensor), values (a sequence) */
} gml_file_value_kind;

typedef struct gml_file_value {
    gml_file_value_kind kind;
    const char *name; /* NULL when the file gives none */
    gml_tensor tensor;
    struct gml_file_value *items;
    size_t n_items;
} gml_file_value;

/* `type` tells the message apart: NULL, and anything but a sequence, optional or map, is a
 * tensor.
 * `*out_value` is untouched on failure. */
GML_MUST_CHECK gml_status gml_tensor_file_read(const char *path, const gml_type *type,
                                               gml_arena *arena, gml_file_value *out_value,
                                               gml_diags *diags);
/* The same for a file that is mapped, or bytes in memory; `loc` is for messages. */
GML_MUST_CHECK gml_status gml_tensor_file_parse(const gml_file *file, const gml_type *type,
                                                gml_arena *arena, gml_file_value *out_value,
                                                gml_diags *diags, gml_loc loc);

/* Writes `tensor` as a TensorProto; `name` may be NULL. The file appears whole or not at all.
 */
GML_MUST_CHECK gml_status gml_tensor_file_write(const char *path, const char *name,
                                                const gml_tensor *tensor, gml_diags *diags);

/* ---- value_file.c ---- */

/* Writes any value as the message that reads back to it: tensors, and sequences, optionals and
 * maps of them. The file appears whole or not at all. */
GML_MUST_CHECK gml_status gml_value_file_write(const char *path, const gml_file_value *value,
                                               gml_diags *diags);

#endif
