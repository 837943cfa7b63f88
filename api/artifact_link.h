/* api/artifact_link.h - a compiled program as a shared library and a C header.
 *
 * The library holds the kernels' code, the programs' image (constants included, mapped and
 * never copied) and the parts of gemel's runtime that it uses; it exports the functions of the
 * header. Constants can be a file beside the library instead (api/weights_file.h). The code is
 * linked by the system's C compiler, cc; constants are written behind it one by one, packed
 * when their turn comes, so that memory holds one of them at a time. Files appear whole or not
 * at all.
 */
#ifndef GML_API_ARTIFACT_LINK_H
#define GML_API_ARTIFACT_LINK_H

#include "api/pipeline.h"
#include "runtime/artifact.h"

typedef struct gml_link_options {
    const char *output;  /* "dir/model.so"; the header is "dir/model.h" */
    const char *runtime; /* libgemel_runtime.a; NULL: beside this program, ../lib */
    const char *cc;      /* NULL: "cc" */
    bool weights_beside; /* in gml_weights_path */
} gml_link_options;

/* "dir/model.safetensors" beside the library "dir/model.so". */
const char *gml_weights_path(gml_arena *arena, const char *output);

/* A program of the artifact. */
typedef struct gml_link_part {
    const char *name; /* of its function: "run" gives MODEL_run */
    gml_program *program;
    const gml_str *object; /* the code that gml_compile gave for it; where there are several
                              parts, each with a prefix of its own (gml_target) */
} gml_link_part;

/* Several parts are those of one model: they have the same states. */
GML_MUST_CHECK gml_status gml_link_artifact(const gml_link_part *parts, size_t n,
                                            const gml_link_options *options, gml_diags *diags);
/* The header alone. `name` is a C identifier; `weights` the file beside the library, or NULL.
 */
gml_status gml_artifact_header(const gml_artifact_entry *entries, size_t n, const char *name,
                               const char *weights, gml_str *out, gml_diags *diags);

#endif
