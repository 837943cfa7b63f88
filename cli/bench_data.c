/* cli/bench_data.c - gemel bench --data: the loader alone. */
#define _POSIX_C_SOURCE 200809L

#include "cli/bench_data.h"

#include "cli/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define GML_PATCH 16

typedef struct measured {
    double seconds, core_seconds; /* on the wall; of all threads */
    uint64_t pictures, bytes, bad;
} measured;

static double read_clock(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Batches until the time is over. Those that were made ahead when measuring began are about as
 * many as are half made when it ends, and both clocks see the same work. */
static gml_status measure(gml_loader *loader, double seconds, measured *out, gml_diags *diags)
{
    const gml_batch *batch = NULL;
    GML_TRY(gml_loader_next(loader, &batch, diags));
    gml_loader_stats before = gml_loader_stats_get(loader);
    double begin = read_clock(CLOCK_MONOTONIC);
    double core_begin = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    do {
        GML_TRY(gml_loader_next(loader, &batch, diags));
        out->seconds = read_clock(CLOCK_MONOTONIC) - begin;
    } while (out->seconds < seconds);
    out->core_seconds = read_clock(CLOCK_PROCESS_CPUTIME_ID) - core_begin;
    gml_loader_stats after = gml_loader_stats_get(loader);
    out->pictures = after.pictures - before.pictures;
    out->bytes = after.file_bytes - before.file_bytes;
    out->bad = after.bad - before.bad;
    return GML_OK;
}

static gml_status print(const gml_bench_data *o, const measured *m, gml_diags *diags)
{
    double rate = (double)m->pictures / m->seconds;
    double per_core = (double)m->pictures / m->core_seconds;
    double megabytes = (double)m->bytes / m->seconds / 1e6;
    if (o->json) {
        json_t *root = json_pack("{s:I, s:I, s:o, s:o, s:o, s:o, s:i, s:I, s:I}", "pictures",
                                 (json_int_t)m->pictures, "bad", (json_int_t)m->bad, "seconds",
                                 gml_json_real(m->seconds), "pictures_s", gml_json_real(rate),
                                 "pictures_core_s", gml_json_real(per_core), "mb_s",
                                 gml_json_real(megabytes), "threads", o->n_workers, "batch",
                                 (json_int_t)o->batch, "image_size", (json_int_t)o->size);
        return gml_json_print(root) == 0
                   ? GML_OK
                   : gml_fail(diags, GML_E_IO, (gml_loc){0}, "cannot write the report");
    }
    printf("%" PRIu64 " pictures, both views of %" PRId64 " pixels, %d thread%s, %.1f s: "
           "%.1f a second, %.1f a second and core, %.1f MB/s of files\n",
           m->pictures, o->size, o->n_workers, o->n_workers == 1 ? "" : "s", m->seconds, rate,
           per_core, megabytes);
    if (m->bad > 0)
        printf("%" PRIu64 " pictures could not be used and were replaced\n", m->bad);
    return GML_OK;
}

gml_status gml_bench_data_run(const gml_bench_data *o, gml_diags *diags)
{
    gml_dataset *dataset = NULL;
    gml_loader *loader = NULL;
    measured found = {.seconds = 0};
    gml_loader_options options = gml_loader_siameseim(o->batch);
    options.views[0].size = options.views[1].size = o->size;
    if (o->size < GML_PATCH || o->size % GML_PATCH != 0)
        return gml_fail(diags, GML_E_USAGE, (gml_loc){0},
                        "a view of %" PRId64 " pixels has no patches of %d", o->size,
                        GML_PATCH);
    options.mask = gml_mask_siameseim(o->size / GML_PATCH);
    options.n_workers = o->n_workers;
    options.fast_jpeg = o->fast_jpeg;
    options.max_bad = UINT32_MAX;
    options.seed = o->seed;
    GML_TRY(gml_dataset_open(o->folder, &dataset, diags));
    gml_status status = gml_loader_open(dataset, &options, &loader, diags);
    if (status == GML_OK)
        status = measure(loader, o->seconds, &found, diags);
    gml_loader_close(loader);
    gml_dataset_close(dataset);
    return status == GML_OK ? print(o, &found, diags) : status;
}
