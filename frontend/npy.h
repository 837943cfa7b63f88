/* frontend/npy.h - NumPy's files: one array (.npy, format 1 to 3) and several (.npz).
 *
 * Read: bool, integers, floats of 16, 32 and 64 bits, complex numbers of 64 and 128, either
 * byte order, row- or column-major; bytes (S) and text (U, which becomes UTF-8) as string
 * tensors. Objects and records are refused. Elements are copied into the caller's arena,
 * aligned to 64 bytes. Written: the same, little-endian and row-major. NumPy has no bfloat16
 * and no 8-bit or smaller floats: those are widened to float32, which is exact; 4- and 2-bit
 * integers are written as 8-bit ones.
 *
 * An .npz is a zip of .npy files, stored or deflated: libarchive does the zip. Hostile files
 * are diagnosed with GML_E_INVALID; nothing is allocated that the file's size does not justify.
 */
#ifndef GML_FRONTEND_NPY_H
#define GML_FRONTEND_NPY_H

#include "base/diag.h"
#include "base/str.h"

/* `*out_tensor` is untouched on failure. */
GML_MUST_CHECK gml_status gml_npy_read(const char *path, gml_arena *arena,
                                       gml_tensor *out_tensor, gml_diags *diags);
/* The same for the bytes of a file; `loc` is for messages. */
GML_MUST_CHECK gml_status gml_npy_parse(const void *bytes, size_t len, gml_arena *arena,
                                        gml_tensor *out_tensor, gml_diags *diags, gml_loc loc);

/* The file appears whole or not at all. */
GML_MUST_CHECK gml_status gml_npy_write(const char *path, const gml_tensor *tensor,
                                        gml_diags *diags);
/* Appends the bytes of the file to `out`. */
void gml_npy_format(const gml_tensor *tensor, gml_str *out);

/* ---- npz.c ---- */

typedef struct gml_named_tensor {
    const char *name; /* without ".npy" */
    gml_tensor tensor;
} gml_named_tensor;

typedef struct gml_npz {
    gml_vec(gml_named_tensor) list; /* in the order of the file; in the caller's arena */
} gml_npz;

GML_MUST_CHECK gml_status gml_npz_read(const char *path, gml_arena *arena, gml_npz *out_npz,
                                       gml_diags *diags);
GML_MUST_CHECK gml_status gml_npz_parse(const void *bytes, size_t len, gml_arena *arena,
                                        gml_npz *out_npz, gml_diags *diags, gml_loc loc);
/* Stored, not deflated; the same tensors give the same bytes. */
GML_MUST_CHECK gml_status gml_npz_write(const char *path, const gml_named_tensor *tensors,
                                        size_t n_tensors, gml_diags *diags);

#endif
