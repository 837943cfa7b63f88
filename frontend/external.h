/* frontend/external.h - tensors whose elements lie in files beside the model.
 *
 * The model names a file and a range of it. What it names is not to be trusted, so a file is
 * opened only when it is a regular file inside the model's folder, reached without a symbolic
 * link, and with one name only (a hard link could be anybody's file). The kernel enforces it
 * where it can (openat2), otherwise the path is walked component by component with O_NOFOLLOW.
 *
 * Files are mapped, once each, and the mappings belong to the module. Keys that a model may
 * give: location, offset, length (decimal, not negative); checksum and basepath are accepted
 * and not used. Anything else is refused, and so is a key given twice.
 */
#ifndef GML_FRONTEND_EXTERNAL_H
#define GML_FRONTEND_EXTERNAL_H

#include "ir/graph.h"

/* One key and its value, as in the file. */
typedef struct gml_external_entry {
    const char *key;
    const char *value;
} gml_external_entry;

typedef struct gml_externals {
    gml_module *module;
    const char *folder; /* of the model; NULL: external data is refused */
    gml_diags *diags;
    bool allow_hard_links; /* false; may be set after init */
    gml_map files;         /* location -> gml_file */
} gml_externals;

/* Everything is borrowed. */
void gml_externals_init(gml_externals *externals, gml_module *module, const char *folder,
                        gml_diags *diags);

/* Finds the `size` bytes that `entries` describe. `*out_data` is valid as long as the module.
 */
GML_MUST_CHECK gml_status gml_external_find(gml_externals *externals,
                                            const gml_external_entry *entries, size_t n_entries,
                                            size_t size, const void **out_data, gml_loc loc);

/* The part of `path` before its last slash, or "."; in `arena`. */
const char *gml_path_folder(gml_arena *arena, const char *path);

#endif
