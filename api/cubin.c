/* api/cubin.c - PTX as machine code for one architecture, by `ptxas` and from a cache on disk.
 */
#define _POSIX_C_SOURCE 200809L

#include "api/cubin.h"

#include "api/cubin_cache.h"
#include "api/ptxas.h"

#include <string.h>
#include <time.h>

/* Another one when cubins come about in other ways. */
#define GML_KEY_VERSION "gemel cubin 1"

typedef struct job {
    gml_arena arena;
    const char *ptx;
    size_t len;
    const char *architecture;
    gml_ptxas ptxas;
    const char *no_cache; /* why; NULL: there is one, and in it a place */
    gml_cubin_place place;
} job;

const char *gml_cubin_origin_name(gml_cubin_origin origin)
{
    static const char *const names[] = {"driver", "ptxas", "cache"};
    return names[origin];
}

/* Text goes in with the NUL that ends it; the PTX is last. */
static void find_place(job *j)
{
    const char *folder = NULL;
    unsigned char key[GML_SHA256_SIZE];
    gml_sha256 sum;
    j->no_cache = gml_cubin_cache_open(&j->arena, &folder);
    if (j->no_cache)
        return;
    gml_sha256_init(&sum);
    gml_sha256_add(&sum, GML_KEY_VERSION, sizeof GML_KEY_VERSION);
    gml_sha256_add(&sum, GML_PTXAS_OPTIONS, sizeof GML_PTXAS_OPTIONS);
    gml_sha256_add(&sum, j->architecture, strlen(j->architecture) + 1);
    gml_sha256_add(&sum, j->ptxas.version, sizeof j->ptxas.version);
    gml_sha256_add(&sum, j->ptx, j->len);
    gml_sha256_end(&sum, key);
    j->place = gml_cubin_cache_place(&j->arena, folder, key);
}

static double seconds_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void assemble(job *j, gml_cubin *cubin)
{
    double start = seconds_now();
    const char *why = gml_ptxas_assemble(&j->ptxas, j->ptx, j->len, j->architecture,
                                         &cubin->image, &j->arena);
    if (why) {
        gml_str_puts(&cubin->note, why);
        return;
    }
    cubin->origin = GML_CUBIN_ASSEMBLED;
    gml_str_printf(&cubin->note, "%zu bytes for %s, assembled by %s in %.2f s",
                   cubin->image.len, j->architecture, j->ptxas.path, seconds_now() - start);
    const char *not_kept = j->no_cache;
    if (!not_kept)
        not_kept = gml_cubin_cache_keep(&j->place, &cubin->image, GML_CACHE_LIMIT, &j->arena);
    if (not_kept)
        gml_str_printf(&cubin->note, "; not kept: %s", not_kept);
}

static void make(job *j, gml_cubin *cubin)
{
    const char *why = gml_ptxas_find(&j->arena, &j->ptxas);
    if (why) {
        gml_str_puts(&cubin->note, why);
        return;
    }
    find_place(j);
    if (j->no_cache || !gml_cubin_cache_find(&j->place, &cubin->image)) {
        assemble(j, cubin);
        return;
    }
    cubin->origin = GML_CUBIN_CACHED;
    gml_str_printf(&cubin->note, "%zu bytes for %s from %s", cubin->image.len, j->architecture,
                   j->place.path);
}

void gml_cubin_make(const char *ptx, size_t len, const char *architecture, gml_cubin *out_cubin)
{
    job j = {.ptx = ptx, .len = len, .architecture = architecture};
    gml_arena_init(&j.arena);
    out_cubin->origin = GML_CUBIN_NONE;
    gml_str_init(&out_cubin->image);
    gml_str_init(&out_cubin->note);
    make(&j, out_cubin);
    gml_arena_reset(&j.arena);
}

void gml_cubin_reset(gml_cubin *cubin)
{
    gml_str_reset(&cubin->image);
    gml_str_reset(&cubin->note);
}
