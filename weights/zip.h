/* weights/zip.h - the members of a zip archive that are stored as they are.
 *
 * PyTorch's files are zips whose members are neither compressed nor encrypted, so that they can
 * be mapped: a member is a range of the file. Nothing is ever decompressed, and an archive
 * cannot be larger than it looks. Compressed and encrypted members are listed and have no data.
 *
 * Checked when an archive is opened: the directory and every member lie in the file, members do
 * not overlap, names differ. Zip64 is read. Checksums are not compared.
 */
#ifndef GML_WEIGHTS_ZIP_H
#define GML_WEIGHTS_ZIP_H

#include "base/diag.h"
#include "base/map.h"

#define GML_ZIP_MAX_MEMBERS ((uint64_t)1 << 20)

typedef struct gml_zip_member {
    const char *name;
    const unsigned char *data; /* into the file; NULL: not stored as it is */
    uint64_t size;
    uint64_t header, end; /* the part of the file that is its own */
} gml_zip_member;

typedef struct gml_zip {
    gml_vec(gml_zip_member *) members; /* in the order of the directory */
    gml_map by_name;
} gml_zip;

/* Whether `bytes` begin as an archive does. */
bool gml_zip_is(const void *bytes, size_t len);
/* `file` names it in messages. Everything is in the arena, or in `bytes`. */
GML_MUST_CHECK gml_status gml_zip_open(const void *bytes, size_t len, const char *file,
                                       gml_arena *arena, gml_zip *out, gml_diags *diags);
/* NULL when there is none of that name. */
const gml_zip_member *gml_zip_find(const gml_zip *zip, const char *name);

#endif
