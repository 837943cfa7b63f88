/* api/source.h - a model's bytes, from which modules are made as often as needed.
 *
 * Compiling consumes a module, so whoever compiles for several shapes imports several times.
 * The bytes stay where they are (a mapped file, or the caller's memory) and must outlive every
 * module made from them: constants point into them.
 *
 * `module` is the graph as the file declares it, without inference: interface, operators,
 * constants; or the training form of it. It never changes after opening and may be read by any
 * thread. A compiled model has a program instead: `module` is its interface without a node, and
 * nothing can be imported.
 */
#ifndef GML_API_SOURCE_H
#define GML_API_SOURCE_H

#include "api/artifact_open.h"
#include "base/file.h"
#include "frontend/import.h"

typedef struct gml_train_form gml_train_form; /* api/train_form.h */

typedef struct gml_source {
    gml_arena arena;
    gml_file file; /* mapped; empty when the bytes are the caller's */
    const void *bytes;
    size_t len;
    const char *path;   /* for messages; NULL: bytes in memory */
    const char *folder; /* of external data, or NULL */
    gml_onnx_entry entry;
    size_t training;
    uint64_t seed;
    gml_onnx_dim *dims;
    size_t n_dims;
    const gml_train_form *form; /* what each module becomes behind the import; or NULL */
    gml_module *module;
    gml_artifact artifact; /* its program is NULL unless the file is a compiled model */
} gml_source;

/* With `form`, which outlives the source, modules are training steps (api/train_form.h).
 * Of `options` (may be NULL) the entry and the sizes of dimensions count, and for bytes in
 * memory the folder of external data. Reports every fault of the model that needs no shapes,
 * and sizes for dimensions that no input or output has. After a failure there is nothing to
 * close. `source` must not move afterwards. */
GML_MUST_CHECK gml_status gml_source_open(gml_source *source, const char *path,
                                          const gml_onnx_options *options,
                                          const gml_train_form *form, gml_diags *diags);
/* The same for bytes in memory, which are borrowed. */
GML_MUST_CHECK gml_status gml_source_wrap(gml_source *source, const void *bytes, size_t len,
                                          const gml_onnx_options *options,
                                          const gml_train_form *form, gml_diags *diags);
void gml_source_close(gml_source *source);

/* Whether the bytes are an ONNX model: no textual IR, and not compiled. */
bool gml_source_is_onnx(const gml_source *source);

/* The file's elements will not be read soon: its pages need not stay in memory. */
void gml_source_forget(const gml_source *source);

/* A fresh module, the caller's. With `infer` all types are inferred (and faults of shape
 * found). Any thread. */
GML_MUST_CHECK gml_status gml_source_import(const gml_source *source, bool infer,
                                            gml_module **out_module, gml_diags *diags);

/* "f32[batch,3]" as the module speaks of it, in `arena`. */
const char *gml_type_text(const gml_module *module, const gml_type *type, gml_arena *arena);
/* "f32[2,3]" */
const char *gml_tensor_text(const gml_tensor *tensor, gml_arena *arena);
/* The names of the main graph's inputs, or of its outputs, in `arena`. */
const char **gml_input_names(const gml_module *module, gml_arena *arena);
const char **gml_output_names(const gml_module *module, gml_arena *arena);

#endif
