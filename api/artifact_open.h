/* api/artifact_open.h - a compiled model, back from its shared library.
 *
 * Opening runs the library's code in this process: open only what you trust.
 */
#ifndef GML_API_ARTIFACT_OPEN_H
#define GML_API_ARTIFACT_OPEN_H

#include "ir/graph.h"
#include "runtime/program.h"

typedef struct gml_artifact {
    void *library;        /* of dlopen */
    gml_program *program; /* released before the library is closed */
} gml_artifact;

/* True for the first bytes of a shared library. */
bool gml_artifact_is(const void *bytes, size_t len);
/* `bytes` are the file's, for a look before it is run. GML_E_INVALID when it is none of
 * gemel's, GML_E_UNSUPPORTED when it is of another version or for another processor.
 * `*out_artifact` is untouched on failure. */
GML_MUST_CHECK gml_status gml_artifact_open(const char *path, const void *bytes, size_t len,
                                            gml_artifact *out_artifact, gml_diags *diags);
void gml_artifact_close(gml_artifact *artifact);

/* A module whose graph has the program's inputs and outputs, with names and types, and no node.
 */
gml_module *gml_program_interface(const gml_program *program, const char *file);

#endif
