/* api/output.h - results as files: output_0.npy, output_1.npy, … in a folder, all of them or
 * none.
 *
 *     gml_output_folder out;
 *     GML_TRY(gml_output_open(&out, "results", diags));       before the work: can it be
 * written to? status = gml_output_write(&out, values, names, n, diags); gml_output_close(&out);
 * in any case
 *
 * Files are made in a hidden folder inside and moved when all of them are on the disk. Types
 * that NumPy does not have, sequences, optionals and maps become ONNX messages, output_0.pb.
 */
#ifndef GML_API_OUTPUT_H
#define GML_API_OUTPUT_H

#include "base/diag.h"
#include "runtime/value.h"

typedef struct gml_output_folder {
    gml_arena arena;
    const char *path;
    const char *hidden; /* inside it, while open; NULL: none */
    const char **files; /* names of what was written, by output; NULL before */
    const char **paths; /* where it is, in the hidden folder */
    size_t n_files;
    bool is_new; /* made by opening, and removed when nothing was written */
} gml_output_folder;

/* Makes the folder when there is none (its parent must exist). GML_E_IO when it cannot be
 * written to; there is nothing to close then. */
GML_MUST_CHECK gml_status gml_output_open(gml_output_folder *folder, const char *path,
                                          gml_diags *diags);
/* After a failure the folder holds what it held. */
GML_MUST_CHECK gml_status gml_output_write(gml_output_folder *folder, const gml_rvalue *values,
                                           const char *const *names, size_t n_values,
                                           gml_diags *diags);
void gml_output_close(gml_output_folder *folder);

#endif
