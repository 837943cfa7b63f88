/* api/cubin.h - PTX as machine code for one architecture, by `ptxas` and from a cache on disk.
 * Private to api/.
 *
 * The driver compiles PTX as well, each time that a program is loaded, and for the devices that
 * it knew when it was made. So nothing here is ever an error: where there is no cubin, the PTX
 * goes to the driver, and `note` says why.
 *
 * Three variables choose (docs/devices.md): GEMEL_PTXAS names the ptxas, GEMEL_CACHE the folder
 * of the cache; XDG_CACHE_HOME and HOME say where that is otherwise. The same PTX,
 * architecture, options and ptxas are the same cubin: what is kept is found by a hash of them.
 *
 * All functions are thread-safe, and several processes may share a folder.
 */
#ifndef GML_API_CUBIN_H
#define GML_API_CUBIN_H

#include "base/str.h"

typedef enum gml_cubin_origin {
    GML_CUBIN_NONE,      /* there is none: the driver compiles the PTX */
    GML_CUBIN_ASSEMBLED, /* ptxas made it now */
    GML_CUBIN_CACHED,    /* it was made before */
} gml_cubin_origin;

typedef struct gml_cubin {
    gml_cubin_origin origin;
    gml_str image; /* an ELF file; empty of GML_CUBIN_NONE */
    gml_str note;  /* for reports, one line: where it is from, or why there is none */
} gml_cubin;

/* `len` bytes of PTX, assembled for `architecture`: "sm_90a". Initialises `*out_cubin`. */
void gml_cubin_make(const char *ptx, size_t len, const char *architecture,
                    gml_cubin *out_cubin);
void gml_cubin_reset(gml_cubin *cubin);
/* Who made the machine code, in a word: "driver", "ptxas", "cache". */
const char *gml_cubin_origin_name(gml_cubin_origin origin);

#endif
