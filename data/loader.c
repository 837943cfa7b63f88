/* data/loader.c - threads that fill a ring of batches ahead of the caller.
 *
 * Batches are counted from 0 as `turn`s; turn t is made in slot t mod n_slots. One lock guards
 * the counters, which is taken once or twice a picture; a picture takes milliseconds. A thread
 * takes the next place of the turn that is being filled; where that has none left, it opens the
 * next turn, as long as the caller has given back the slot. So turns are finished nearly in
 * order, and the caller waits for each in turn. */
#define _POSIX_C_SOURCE 200809L

#include "data/loader.h"

#include "data/loader_slot.h"

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define GML_MAX_AHEAD 64
#define GML_MAX_BATCH 65536
#define GML_NO_EPOCH  UINT64_MAX

struct gml_loader {
    const gml_dataset *dataset;
    gml_loader_options options;
    uint32_t n_batches; /* in an epoch */
    gml_slot *slots;
    uint64_t n_slots;
    pthread_t *threads;
    int n_threads;

    pthread_mutex_t lock;
    pthread_cond_t work;  /* a slot was given back, or all stops */
    pthread_cond_t ready; /* a turn is finished */
    /* under the lock */
    bool stop;
    uint64_t filling;    /* the turn whose places are being taken */
    int64_t taken;       /* places of it that were taken */
    uint64_t given_back; /* turns that the caller is done with */
    uint32_t *order;     /* of `order_epoch` */
    uint64_t order_epoch;

    /* the caller's */
    uint64_t next; /* turn */
    gml_status failed;
    gml_loader_stats stats;
    gml_bad_picture *bad; /* of the last batch, at most one a place */
    uint64_t n_bad;
    uint32_t epoch; /* of the last batch */
    uint32_t bad_in_epoch;
};

gml_loader_options gml_loader_siameseim(int64_t batch)
{
    return (gml_loader_options){.views = {gml_recipe_siameseim(1), gml_recipe_siameseim(2)},
                                .n_views = 2,
                                .mask = gml_mask_siameseim(14),
                                .batch = batch,
                                .n_workers = 1,
                                .ahead = 2};
}

/* ---- filling ------------------------------------------------------------------------------
 */

/* The order of an epoch's pictures; under the lock. */
static void set_order(gml_loader *loader, uint32_t epoch)
{
    uint32_t n = gml_dataset_count(loader->dataset);
    if (loader->order_epoch == epoch)
        return;
    for (uint32_t i = 0; i < n; i++)
        loader->order[i] = i;
    if (!loader->options.in_order) {
        gml_rng rng;
        gml_rng_init(&rng, loader->options.seed, epoch, 0, GML_DRAW_ORDER);
        gml_rng_shuffle(&rng, loader->order, n);
    }
    loader->order_epoch = epoch;
}

/* Opens the slot of `loader->filling`; under the lock. */
static void open_turn(gml_loader *loader)
{
    const gml_loader_options *options = &loader->options;
    uint64_t batch = options->first_batch + loader->filling;
    uint32_t epoch = options->first_epoch + (uint32_t)(batch / loader->n_batches);
    set_order(loader, epoch);
    gml_slot_open(&loader->slots[loader->filling % loader->n_slots], options, epoch,
                  (uint32_t)(batch % loader->n_batches), loader->order,
                  gml_dataset_count(loader->dataset));
    loader->taken = 0;
}

/* Waits for a place to fill; false when all stops. Under the lock. */
static bool take_place(gml_loader *loader, gml_slot **out_slot, int64_t *out_place)
{
    for (;;) {
        if (loader->stop)
            return false;
        gml_slot *slot = &loader->slots[loader->filling % loader->n_slots];
        if (loader->taken < slot->batch.count) {
            *out_slot = slot;
            *out_place = loader->taken++;
            return true;
        }
        if (loader->filling + 1 < loader->given_back + loader->n_slots) {
            loader->filling++;
            open_turn(loader);
            pthread_cond_broadcast(&loader->work);
        } else {
            pthread_cond_wait(&loader->work, &loader->lock);
        }
    }
}

static void *run_worker(void *context)
{
    gml_loader *loader = context;
    gml_worker_memory memory = {0};
    gml_slot *slot = NULL;
    int64_t i = 0;
    pthread_mutex_lock(&loader->lock);
    while (take_place(loader, &slot, &i)) {
        pthread_mutex_unlock(&loader->lock);
        gml_slot_fill(slot, i, loader->dataset, &loader->options, &memory);
        pthread_mutex_lock(&loader->lock);
        if (++slot->done == slot->batch.count)
            pthread_cond_signal(&loader->ready);
    }
    pthread_mutex_unlock(&loader->lock);
    gml_worker_memory_reset(&memory);
    return NULL;
}

/* ---- opening and closing ------------------------------------------------------------------
 */

static const char *check_options(const gml_loader_options *o)
{
    if (o->n_views != 1 && o->n_views != 2)
        return "there are one or two views";
    for (int i = 0; i < o->n_views; i++) {
        const char *why = gml_recipe_check(&o->views[i]);
        if (why != NULL)
            return why;
        if (o->views[i].size != o->views[0].size)
            return "both views have one size";
    }
    const char *why = gml_mask_check(&o->mask);
    if (why != NULL)
        return why;
    if (o->views[0].size % o->mask.grid != 0)
        return "the patches of the mask do not divide a view's size";
    if (o->batch < 1 || o->batch > GML_MAX_BATCH)
        return "a batch has 1 to 65536 pictures";
    if (o->n_workers < 1 || o->n_workers > GML_MAX_WORKERS)
        return "there are 1 to 256 threads";
    if (o->ahead < 1 || o->ahead > GML_MAX_AHEAD)
        return "1 to 64 batches are made ahead";
    return NULL;
}

static gml_status count_batches(const gml_dataset *dataset, const gml_loader_options *options,
                                uint32_t *out_count, gml_diags *diags)
{
    uint64_t n = gml_dataset_count(dataset);
    uint64_t batch = (uint64_t)options->batch;
    uint64_t count = options->keep_last ? (n + batch - 1) / batch : n / batch;
    if (count == 0)
        return gml_fail(diags, GML_E_INVALID, (gml_loc){0},
                        "the data set has %" PRIu64 " pictures, a batch %" PRIu64, n, batch);
    if (options->first_batch >= count)
        return gml_fail(diags, GML_E_USAGE, (gml_loc){0},
                        "an epoch has %" PRIu64 " batches: there is none after %" PRIu32, count,
                        options->first_batch);
    *out_count = (uint32_t)count;
    return GML_OK;
}

static gml_status take_memory(gml_loader *loader)
{
    const gml_loader_options *options = &loader->options;
    loader->n_slots = (uint64_t)options->ahead + 1;
    loader->slots = calloc(loader->n_slots, sizeof *loader->slots);
    loader->threads = calloc((size_t)options->n_workers, sizeof *loader->threads);
    loader->bad = calloc((size_t)options->batch, sizeof *loader->bad);
    loader->order = calloc(gml_dataset_count(loader->dataset), sizeof *loader->order);
    if (loader->slots == NULL || loader->threads == NULL || loader->bad == NULL ||
        loader->order == NULL)
        return GML_E_MEMORY;
    for (uint64_t i = 0; i < loader->n_slots; i++)
        GML_TRY(gml_slot_init(&loader->slots[i], options));
    return GML_OK;
}

/* Signals are the caller's affair. */
static gml_status start_threads(gml_loader *loader)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    gml_status status = GML_OK;
    while (status == GML_OK && loader->n_threads < loader->options.n_workers) {
        if (pthread_create(&loader->threads[loader->n_threads], NULL, run_worker, loader) == 0)
            loader->n_threads++;
        else
            status = GML_E_MEMORY;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

gml_status gml_loader_open(const gml_dataset *dataset, const gml_loader_options *options,
                           gml_loader **out_loader, gml_diags *diags)
{
    const char *why = check_options(options);
    if (why != NULL)
        return gml_fail(diags, GML_E_USAGE, (gml_loc){0}, "%s", why);
    uint32_t n_batches = 0;
    GML_TRY(count_batches(dataset, options, &n_batches, diags));
    gml_loader *loader = calloc(1, sizeof *loader);
    if (loader == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "out of memory");
    loader->dataset = dataset;
    loader->options = *options;
    loader->n_batches = n_batches;
    loader->order_epoch = GML_NO_EPOCH;
    loader->epoch = options->first_epoch;
    loader->bad_in_epoch = options->bad_before;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->ready, NULL);
    gml_status status = take_memory(loader);
    if (status == GML_OK) {
        open_turn(loader);
        status = start_threads(loader);
    }
    if (status != GML_OK) {
        gml_loader_close(loader);
        return gml_fail(diags, status, (gml_loc){0},
                        "no memory for %d batches of %" PRId64 " pictures and %d threads",
                        options->ahead + 1, options->batch, options->n_workers);
    }
    *out_loader = loader;
    return GML_OK;
}

void gml_loader_close(gml_loader *loader)
{
    if (loader == NULL)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stop = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->n_threads; i++)
        pthread_join(loader->threads[i], NULL);
    pthread_cond_destroy(&loader->ready);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->lock);
    for (uint64_t i = 0; loader->slots != NULL && i < loader->n_slots; i++)
        gml_slot_reset(&loader->slots[i]);
    free(loader->slots);
    free(loader->threads);
    free(loader->order);
    free(loader->bad);
    free(loader);
}

/* ---- the caller ---------------------------------------------------------------------------
 */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Waits for the turn's slot, and gives the one before it back. */
static gml_slot *wait_for_turn(gml_loader *loader)
{
    double begin = now();
    gml_slot *slot = &loader->slots[loader->next % loader->n_slots];
    pthread_mutex_lock(&loader->lock);
    loader->given_back = loader->next;
    pthread_cond_broadcast(&loader->work);
    while (loader->filling < loader->next || slot->done < slot->batch.count)
        pthread_cond_wait(&loader->ready, &loader->lock);
    pthread_mutex_unlock(&loader->lock);
    loader->stats.seconds_waited += now() - begin;
    loader->next++;
    return slot;
}

/* Keeps the words of place `i`, which was replaced. */
static void note_bad(gml_loader *loader, const gml_slot *slot, int64_t i)
{
    const gml_place *place = &slot->places[i];
    gml_bad_picture *bad = &loader->bad[loader->n_bad++];
    *bad = (gml_bad_picture){slot->batch.epoch, slot->order[i], place->bad, ""};
    memcpy(bad->why, place->why, sizeof bad->why);
    loader->stats.bad++;
    loader->bad_in_epoch++;
}

static gml_status fail_picture(const gml_loader *loader, const gml_slot *slot, int64_t i,
                               gml_status status, const char *consequence, gml_diags *diags)
{
    gml_str name;
    gml_str_init(&name);
    gml_dataset_name(loader->dataset, slot->order[i], &name);
    gml_loc loc = {.file = gml_arena_text(diags->arena, name.text, name.len)};
    gml_str_reset(&name);
    gml_status result = gml_fail(diags, status, loc, "%s", slot->places[i].why);
    if (consequence != NULL)
        gml_note(diags, "%s", consequence);
    return result;
}

/* What became of the batch's places, in their order: so that a failure does not depend on the
 * order of work. */
static gml_status review(gml_loader *loader, const gml_slot *slot, gml_diags *diags)
{
    loader->n_bad = 0;
    if (slot->batch.epoch != loader->epoch)
        loader->bad_in_epoch = 0;
    loader->epoch = slot->batch.epoch;
    for (int64_t i = 0; i < slot->batch.count; i++) {
        const gml_place *place = &slot->places[i];
        loader->stats.file_bytes += place->file_bytes;
        if (place->status == GML_E_MEMORY)
            return fail_picture(loader, slot, i, GML_E_MEMORY, NULL, diags);
        if (place->status != GML_OK)
            return fail_picture(loader, slot, i, place->status,
                                "nor can any of those that would replace it be used", diags);
        if (place->bad == GML_OK)
            continue;
        note_bad(loader, slot, i);
        if (loader->bad_in_epoch > loader->options.max_bad) {
            const char *consequence = gml_arena_printf(
                diags->arena,
                "%" PRIu32 " pictures of an epoch cannot be used; %" PRIu32 " may be replaced",
                loader->bad_in_epoch, loader->options.max_bad);
            return fail_picture(loader, slot, i, place->bad, consequence, diags);
        }
    }
    return GML_OK;
}

gml_status gml_loader_next(gml_loader *loader, const gml_batch **out_batch, gml_diags *diags)
{
    if (loader->failed != GML_OK)
        return gml_fail(diags, loader->failed, (gml_loc){0}, "loading has failed before");
    const gml_slot *slot = wait_for_turn(loader);
    loader->failed = review(loader, slot, diags);
    if (loader->failed != GML_OK)
        return loader->failed;
    loader->stats.batches++;
    loader->stats.pictures += (uint64_t)slot->batch.count;
    *out_batch = &slot->batch;
    return GML_OK;
}

uint32_t gml_loader_batches(const gml_loader *loader)
{
    return loader->n_batches;
}

gml_loader_stats gml_loader_stats_get(const gml_loader *loader)
{
    return loader->stats;
}

uint32_t gml_loader_bad_in_epoch(const gml_loader *loader)
{
    return loader->bad_in_epoch;
}

const gml_bad_picture *gml_loader_bad(const gml_loader *loader, uint64_t i)
{
    return i < loader->n_bad ? &loader->bad[i] : NULL;
}
