/* api/artifact_open.h - a compiled model, back from its shared library.
 *
 * Opening runs the library's code in this process: open only what you trust.
 */
#ifndef GML_API_ARTIFACT_OPEN_H
#define GML_API_ARTIFACT_OPEN_H

#include "frontend/import.h"
#include "ir/graph.h"
#include "runtime/artifact.h"

typedef struct gml_artifact {
    void *library;            /* of dlopen */
    gml_artifact_image image; /* reset before the library is closed */
    gml_program *program;     /* the one of the image that is used: at first the first */
} gml_artifact;

/* What a part of a model with `n` trainings is called in an artifact: "run", "step", or
 * "step1"; in `arena`. */
const char *gml_entry_name(gml_arena *arena, gml_onnx_entry entry, size_t training, size_t n);

/* True for the first bytes of a shared library. */
bool gml_artifact_is(const void *bytes, size_t len);
/* `bytes` are the file's, for a look before it is run. GML_E_INVALID when it is none of
 * gemel's, GML_E_UNSUPPORTED when it is of another version or for another processor.
 * `*out_artifact` is untouched on failure. */
GML_MUST_CHECK gml_status gml_artifact_open(const char *path, const void *bytes, size_t len,
                                            gml_artifact *out_artifact, gml_diags *diags);
void gml_artifact_close(gml_artifact *artifact);

/* Uses another of its programs. FIXED is what there is: "run", else the first. GML_E_USAGE when
 * there is none for the entry. */
GML_MUST_CHECK gml_status gml_artifact_choose(gml_artifact *artifact, const char *path,
                                              gml_onnx_entry entry, size_t training,
                                              gml_diags *diags);

/* A module whose graph has the inputs and outputs of the program that is used, with names and
 * types, and no node; and its states and trainings. */
gml_module *gml_artifact_interface(const gml_artifact *artifact, const char *file);

#endif
