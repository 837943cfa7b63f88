/* runtime/artifact_writer.h - a planned image. Private to runtime/artifact_{plan,write}.c,
 * which make the description, and runtime/artifact_put.c, which writes. */
#ifndef GML_RUNTIME_ARTIFACT_WRITER_H
#define GML_RUNTIME_ARTIFACT_WRITER_H

#include "runtime/artifact_format.h"

/* A constant. */
typedef struct gml_blob {
    const void *data; /* NULL: options.make fills it */
    const gml_program *program;
    uint32_t slot;
    gml_artifact_tensor tensor;
} gml_blob;

/* Where the offset of a constant stands in the description. */
typedef struct gml_fixup {
    size_t at;
    uint32_t blob;
} gml_fixup;

struct gml_artifact_plan {
    gml_arena arena;
    gml_artifact_options options;
    gml_str program;         /* its description, without what is before it */
    gml_vec(gml_blob) blobs; /* in the order of the program */
    gml_vec(gml_fixup) fixups;
    gml_blob **order;             /* by offset */
    gml_artifact_tensor *tensors; /* the same */
    uint64_t constants_size;
    gml_artifact_file file; /* without a name: there is none */
};

/* Appends to the description. Constants of the programs before this one may serve it, too. */
GML_MUST_CHECK gml_status gml_put_program(gml_artifact_plan *plan, const gml_program *program,
                                          gml_diags *diags);
void gml_put_number(gml_str *out, uint64_t value, unsigned size);
void gml_put_text(gml_str *out, const char *text); /* NULL: none */

/* The description up to the program. */
void gml_artifact_put_options(const gml_artifact_plan *plan, gml_str *out);

#endif
