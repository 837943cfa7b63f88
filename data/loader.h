/* data/loader.h - batches of augmented views, made ahead by threads.
 *
 *     gml_loader_options options = gml_loader_siameseim(64);
 *     options.seed = 1;
 *     GML_TRY(gml_loader_open(dataset, &options, &loader, diags));
 *     while (wanted) {
 *         const gml_batch *batch = NULL;
 *         GML_TRY(gml_loader_next(loader, &batch, diags));     (close it all the same)
 *         … batch->tensors are the inputs of the step …
 *     }
 *     gml_loader_close(loader);
 *
 * The tensors are what an exported SiameseIM step takes (docs/siameseim.md), by name:
 *
 *     x1        f32 [B,3,S,S]   the first view
 *     x2        f32 [B,3,S,S]   the second view; with two views
 *     visible   i64 [B,V]       the patches of x1 that are not masked, rising
 *     geometry  f32 [B,6]       where the crops lie (data/geometry.h); with two views
 *
 * Batches come in order, epoch after epoch, without end. What is in them depends on the data
 * set, the options and (epoch, number of the batch) alone: not on the number of threads, nor on
 * where loading began. A sample is a function of (seed, epoch, its index in the data set).
 *
 * A picture that cannot be used (gone, damaged, too large) is noted, and its place is taken by
 * the next picture of the epoch's order, with views of its own. When more than `max_bad` places
 * of an epoch were filled so, or 32 pictures in a row cannot be used, gml_loader_next fails and
 * names them.
 *
 * One thread calls; the loader's own threads do the work and block all signals. They use memory
 * for `ahead` + 1 batches and some megabytes each. Closing waits for the pictures in work,
 * which takes milliseconds, and may be done at any time, after a failure too. The data set must
 * outlive the loader.
 */
#ifndef GML_DATA_LOADER_H
#define GML_DATA_LOADER_H

#include "data/augment.h"
#include "data/dataset.h"
#include "data/mask.h"

#define GML_MAX_WORKERS       256
#define GML_MAX_BATCH_TENSORS 4

typedef struct gml_loader_options {
    gml_recipe views[2]; /* of one size */
    int n_views;         /* 1 or 2 */
    gml_mask mask;       /* its grid divides the size */
    int64_t batch;       /* pictures */
    bool keep_last;      /* an epoch's last batch may be smaller; else it is left out */
    bool in_order;       /* no shuffle */
    bool fast_jpeg;      /* JPEG of more than twice the size is decoded smaller: other pixels */
    uint64_t seed;
    int n_workers; /* 1 to GML_MAX_WORKERS */
    int ahead;     /* batches made ahead of the one in use, 1 to 64 */
    uint32_t
        max_bad; /* places of an epoch whose picture is replaced; beyond it loading fails */
    int64_t max_pixels;   /* of a picture; 0: 2^28 */
    uint32_t first_epoch; /* where to begin: to go on after a stop */
    uint32_t first_batch; /* of that epoch, from 0 */
    uint32_t bad_before;  /* places replaced before it, in that epoch */
} gml_loader_options;

/* The published configuration: 224 pixels, 14 x 14 patches, 118 of them masked; one thread, two
 * batches ahead, no bad picture allowed. */
gml_loader_options gml_loader_siameseim(int64_t batch);

typedef struct gml_batch {
    uint32_t epoch, number; /* `number` from 0 in the epoch */
    int64_t count;          /* pictures */
    int n_tensors;
    const char *names[GML_MAX_BATCH_TENSORS];
    gml_tensor tensors[GML_MAX_BATCH_TENSORS]; /* views into the loader's memory */
    const uint32_t *indices; /* (count): which pictures of the data set are in it */
    const int64_t *classes;  /* (count): theirs; -1 where they have none */
} gml_batch;

/* A picture that was replaced. */
typedef struct gml_bad_picture {
    uint32_t epoch, index;
    gml_status status;
    char why[160];
} gml_bad_picture;

typedef struct gml_loader_stats {
    uint64_t batches, pictures; /* handed out */
    uint64_t file_bytes;        /* read for them */
    uint64_t bad;               /* places replaced in them */
    double seconds_waited;      /* in gml_loader_next */
} gml_loader_stats;

typedef struct gml_loader gml_loader;

/* GML_E_USAGE names the option that is wrong, GML_E_INVALID says that the data set has no whole
 * batch; GML_E_MEMORY. `*out_loader` is untouched on failure. */
GML_MUST_CHECK gml_status gml_loader_open(const gml_dataset *dataset,
                                          const gml_loader_options *options,
                                          gml_loader **out_loader, gml_diags *diags);
/* Waits for the next batch; it is valid until the next call or the end. After a failure every
 * call fails. */
GML_MUST_CHECK gml_status gml_loader_next(gml_loader *loader, const gml_batch **out_batch,
                                          gml_diags *diags);
void gml_loader_close(gml_loader *loader); /* accepts NULL */

uint32_t gml_loader_batches(const gml_loader *loader); /* in an epoch */
gml_loader_stats gml_loader_stats_get(const gml_loader *loader);
/* Places replaced so far in the epoch of the last batch, those before the first one included.
 */
uint32_t gml_loader_bad_in_epoch(const gml_loader *loader);
/* Replaced picture `i` of the last batch, or of the failure; NULL when there are not so many.
 */
const gml_bad_picture *gml_loader_bad(const gml_loader *loader, uint64_t i);

#endif
