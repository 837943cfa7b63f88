/* api/ptxas.h - NVIDIA's assembler, where it is installed. Private to api/.
 *
 * Functions that return text return NULL after success, and else why not, in the arena or
 * static. Thread-safe.
 */
#ifndef GML_API_PTXAS_H
#define GML_API_PTXAS_H

#include "base/arena.h"
#include "base/sha256.h"
#include "base/str.h"

/* Beside -arch, and part of what a cubin is known by. */
#define GML_PTXAS_OPTIONS "-O3"

typedef struct gml_ptxas {
    const char *path;
    unsigned char version[GML_SHA256_SIZE]; /* of what it says with --version */
} gml_ptxas;

/* GEMEL_PTXAS if it is set (nothing or "none": there is to be none), else ptxas in PATH, else
 * where the toolkit is installed. It is asked for its version once in a process. */
const char *gml_ptxas_find(gml_arena *arena, gml_ptxas *out_ptxas);
/* Appends the cubin to `out`, which is untouched on failure. What is written meanwhile is in a
 * folder of its own, which is gone afterwards. */
const char *gml_ptxas_assemble(const gml_ptxas *ptxas, const char *ptx, size_t len,
                               const char *architecture, gml_str *out, gml_arena *arena);

#endif
