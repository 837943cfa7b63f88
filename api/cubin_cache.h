/* api/cubin_cache.h - cubins kept on disk, each in a file named by its key. Private to api/.
 *
 * A file appears whole or not at all, and what is read was checked from the first byte to the
 * last: one that is damaged, or is no file, counts as missing and is removed. The folder
 * belongs to this user, and nobody else may write there.
 *
 * Functions that return text return NULL after success, and else why not, in the arena or
 * static. Several threads and processes may use a folder at once.
 */
#ifndef GML_API_CUBIN_CACHE_H
#define GML_API_CUBIN_CACHE_H

#include "base/arena.h"
#include "base/sha256.h"
#include "base/str.h"

#include <stdint.h>

#define GML_CACHE_LIMIT (UINT64_C(1) << 30) /* bytes of all files together */

/* Where a cubin lies, or would. */
typedef struct gml_cubin_place {
    const char *folder;
    const char *path;
    unsigned char key[GML_SHA256_SIZE];
} gml_cubin_place;

/* Finds the folder, which is made if it is not there; its name is in `arena`. */
const char *gml_cubin_cache_open(gml_arena *arena, const char **out_folder);
/* Text is in `arena`, but for the folder's, which is borrowed. */
gml_cubin_place gml_cubin_cache_place(gml_arena *arena, const char *folder,
                                      const unsigned char key[GML_SHA256_SIZE]);
/* Appends the cubin to `out`, which is untouched when there is none. The file counts as used
 * now. */
bool gml_cubin_cache_find(const gml_cubin_place *place, gml_str *out);
/* Keeps a cubin. Then the files that were used longest ago are removed until all together have
 * `limit` bytes at most. */
const char *gml_cubin_cache_keep(const gml_cubin_place *place, const gml_str *cubin,
                                 uint64_t limit, gml_arena *arena);

#endif
