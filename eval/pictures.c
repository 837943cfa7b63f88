/* eval/pictures.c - labelled pictures as a backbone's inputs. */
#define _POSIX_C_SOURCE 200809L

#include "eval/pictures.h"

#include "data/color.h"
#include "data/jpeg.h"
#include "data/sample.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define GML_MAX_READERS 64

/* ---- sets -------------------------------------------------------------------------------- */

/* The numbers in `train` of the classes of `set`. */
static gml_status match_classes(const gml_eval_set *set, const gml_eval_set *train,
                                const char *path, int64_t *numbers, gml_diags *diags)
{
    uint32_t n = gml_dataset_n_classes(set->dataset);
    for (uint32_t i = 0; i < n; i++) {
        const char *name = gml_dataset_class_name(set->dataset, i);
        uint32_t k = 0;
        while (train != NULL && k < train->n_classes &&
               strcmp(gml_dataset_class_name(train->dataset, k), name) != 0)
            k++;
        if (train != NULL && k == train->n_classes)
            return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = path},
                            "has class %s, which the training pictures lack", name);
        numbers[i] = train != NULL ? k : i;
    }
    return GML_OK;
}

static gml_status read_labels(gml_eval_set *set, const gml_eval_set *train, const char *path,
                              const gml_eval_context *context)
{
    uint32_t n_own = gml_dataset_n_classes(set->dataset);
    int64_t *numbers = gml_new_array(context->arena, int64_t, n_own + 1);
    int64_t *labels = gml_new_array(context->arena, int64_t, set->count);
    GML_TRY(match_classes(set, train, path, numbers, context->diags));
    for (uint32_t i = 0; i < set->count; i++) {
        int64_t class = gml_dataset_class(set->dataset, i);
        if (class < 0)
            return gml_fail(context->diags, GML_E_INVALID, (gml_loc){.file = path},
                            "has pictures without a class: a class is a folder");
        labels[i] = numbers[class];
    }
    set->labels = labels;
    set->n_classes = train != NULL ? train->n_classes : n_own;
    return GML_OK;
}

gml_status gml_eval_set_open(const char *path, const gml_eval_set *train, gml_eval_set *out_set,
                             const gml_eval_context *context)
{
    gml_eval_set set = {NULL};
    GML_TRY(gml_dataset_open(path, &set.dataset, context->diags));
    set.count = gml_dataset_count(set.dataset);
    gml_status status = read_labels(&set, train, path, context);
    if (status != GML_OK)
        gml_eval_set_close(&set);
    else
        *out_set = set;
    return status;
}

void gml_eval_set_close(gml_eval_set *set)
{
    gml_dataset_close(set->dataset);
    set->dataset = NULL;
}

/* ---- one picture ------------------------------------------------------------------------- */

/* What one thread reads with, and the first picture that it could not use. */
typedef struct reader {
    const struct reading *job;
    int number;
    gml_worker_memory memory;
    gml_status status;
    size_t at; /* of the job's pictures */
    char error[160];
} reader;

typedef struct reading {
    const gml_eval_pick *pick;
    float *out;
    uint64_t seed;
    int n_readers;
} reading;

static gml_status decode(reader *r, const gml_eval_set *set, uint32_t index, gml_image *out)
{
    *out = (gml_image){.bytes = NULL};
    return gml_sample_decode(set->dataset, index, &r->memory, out, r->error, sizeof r->error);
}

/* (3, crop, crop) of the middle of `planes`; places are rounded as Python does. */
static void cut_middle(const gml_planes *planes, int64_t crop, uint8_t *out)
{
    int64_t top = (int64_t)rint((double)(planes->height - crop) / 2);
    int64_t left = (int64_t)rint((double)(planes->width - crop) / 2);
    for (int64_t row = 0; row < 3 * crop; row++) {
        int64_t channel = row / crop;
        const uint8_t *from =
            planes->data + (channel * planes->height + top + row % crop) * planes->width + left;
        memcpy(out + row * crop, from, (size_t)crop);
    }
}

/* The whole picture, resized so that its shorter side is `resize`, and its middle: planes of
 * the scratch. */
static gml_status shrink(reader *r, const gml_eval_recipe *recipe, const gml_image *image,
                         gml_planes *out)
{
    int64_t shorter = image->height < image->width ? image->height : image->width;
    gml_pixels pixels = {image->pixels, image->height, image->width, 3};
    gml_resize resize = {.crop = {0, 0, image->height, image->width},
                         .filter = recipe->filter,
                         .height = recipe->resize * image->height / shorter,
                         .width = recipe->resize * image->width / shorter};
    if (resize.height > 1 << 15 || resize.width > 1 << 15) {
        snprintf(r->error, sizeof r->error, "is too narrow to be resized");
        return GML_E_RANGE;
    }
    int64_t crop = recipe->crop;
    gml_planes whole = {
        gml_scratch_array(&r->memory.scratch, uint8_t, 3 * resize.height * resize.width),
        resize.height, resize.width};
    *out = (gml_planes){gml_scratch_array(&r->memory.scratch, uint8_t, 3 * crop * crop), crop,
                        crop};
    if (whole.data == NULL || out->data == NULL)
        return GML_E_MEMORY;
    GML_TRY(gml_resize_run(&resize, &pixels, &r->memory.work, whole.data));
    cut_middle(&whole, crop, out->data);
    return GML_OK;
}

/* A crop of a drawn area and aspect, cut where it is larger than the picture. */
static gml_crop draw_once(gml_rng *rng, const gml_recipe *recipe, int64_t height, int64_t width)
{
    double share = gml_rng_uniform(rng, recipe->crop_min, recipe->crop_max);
    double bound = log(recipe->aspect_max);
    double aspect = exp(gml_rng_uniform(rng, -bound, bound));
    double area = share * (double)height * (double)width;
    gml_crop crop = {.height = (int64_t)rint(sqrt(area / aspect)),
                     .width = (int64_t)rint(sqrt(area * aspect))};
    crop.height = crop.height < 1 ? 1 : crop.height > height ? height : crop.height;
    crop.width = crop.width < 1 ? 1 : crop.width > width ? width : crop.width;
    crop.top = (int64_t)gml_rng_below(rng, (uint64_t)(height - crop.height + 1));
    crop.left = (int64_t)gml_rng_below(rng, (uint64_t)(width - crop.width + 1));
    return crop;
}

/* From numbers of their own, so that crops are the same with and without. */
static gml_rand_augment draw_operations(const reading *job, uint32_t index)
{
    gml_rng rng;
    gml_rng_init(&rng, job->seed, job->pick->draw.epoch, index, GML_DRAW_RAND);
    return gml_rand_draw(job->pick->draw.magnitude, &rng);
}

static gml_status draw_view(reader *r, const gml_image *image, uint32_t index, float *out)
{
    const reading *job = r->job;
    gml_pixels pixels = {image->pixels, image->height, image->width, 3};
    gml_recipe recipe = {.size = job->pick->recipe->crop,
                         .crop_min = 0.08,
                         .crop_max = 1,
                         .aspect_max = 4.0 / 3,
                         .flip = 0.5};
    gml_rng rng;
    memcpy(recipe.mean, job->pick->recipe->mean, sizeof recipe.mean);
    memcpy(recipe.std, job->pick->recipe->std, sizeof recipe.std);
    gml_rng_init(&rng, job->seed, job->pick->draw.epoch, index, GML_DRAW_EVAL);
    gml_view view = {.flip = gml_rng_unit(&rng) < recipe.flip};
    view.crop = job->pick->draw.crop == GML_CROP_ONCE
                    ? draw_once(&rng, &recipe, image->height, image->width)
                    : gml_crop_draw(&recipe, &rng, image->height, image->width);
    if (job->pick->draw.magnitude > 0)
        view.rand = draw_operations(job, index);
    return gml_view_apply(&recipe, &view, &pixels, &r->memory.work, out);
}

static gml_status read_one(reader *r, size_t at)
{
    const reading *job = r->job;
    const gml_eval_recipe *recipe = job->pick->recipe;
    float *out = job->out + (int64_t)at * 3 * recipe->crop * recipe->crop;
    gml_image image;
    gml_planes planes;
    GML_TRY(decode(r, job->pick->set, job->pick->indices[at], &image));
    if (job->pick->draw.crop != GML_CROP_NONE)
        return draw_view(r, &image, job->pick->indices[at], out);
    GML_TRY(shrink(r, recipe, &image, &planes));
    gml_color_normalise(&planes, recipe->mean, recipe->std, out);
    return GML_OK;
}

/* ---- all of them ------------------------------------------------------------------------- */

static void *read_share(void *context)
{
    reader *r = context;
    for (size_t i = (size_t)r->number; i < r->job->pick->n && r->status == GML_OK;
         i += (size_t)r->job->n_readers) {
        r->status = read_one(r, i);
        r->at = i;
        gml_scratch_reset(&r->memory.scratch);
    }
    gml_worker_memory_reset(&r->memory);
    return NULL;
}

static int count_readers(const gml_eval_context *context, size_t n)
{
    long wanted = context->n_threads;
    if (wanted == 0)
        wanted = sysconf(_SC_NPROCESSORS_ONLN);
    if (wanted > GML_MAX_READERS)
        wanted = GML_MAX_READERS;
    if ((size_t)wanted > n)
        wanted = (long)n;
    return wanted < 1 ? 1 : (int)wanted;
}

/* The caller is the first reader; where a thread cannot be had its share is done here. Signals
 * go to the caller. */
static void run_readers(reader *readers, int n)
{
    pthread_t threads[GML_MAX_READERS];
    bool is_running[GML_MAX_READERS] = {false};
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 1; i < n; i++)
        is_running[i] = pthread_create(&threads[i], NULL, read_share, &readers[i]) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)read_share(&readers[0]);
    for (int i = 1; i < n; i++) {
        if (is_running[i])
            pthread_join(threads[i], NULL);
        else
            (void)read_share(&readers[i]);
    }
}

/* What is wrong with picture `index`. */
static gml_status blame(const gml_eval_set *set, uint32_t index, const reader *r,
                        gml_diags *diags)
{
    gml_str name;
    gml_str_init(&name);
    gml_dataset_name(set->dataset, index, &name);
    gml_status status = gml_fail(diags, r->status, (gml_loc){.file = name.text}, "%s",
                                 *r->error != '\0' ? r->error : gml_status_text(r->status));
    gml_str_reset(&name);
    return status;
}

gml_status gml_eval_pictures(const gml_eval_pick *pick, float *out,
                             const gml_eval_context *context)
{
    reader readers[GML_MAX_READERS];
    reading job = {.pick = pick,
                   .out = out,
                   .seed = context->seed,
                   .n_readers = count_readers(context, pick->n)};
    const reader *first = NULL;
    for (int i = 0; i < job.n_readers; i++)
        readers[i] = (reader){.job = &job, .number = i};
    run_readers(readers, job.n_readers);
    for (int i = 0; i < job.n_readers; i++)
        if (readers[i].status != GML_OK && (first == NULL || readers[i].at < first->at))
            first = &readers[i];
    return first != NULL ? blame(pick->set, pick->indices[first->at], first, context->diags)
                         : GML_OK;
}

/* ---- for reports ------------------------------------------------------------------------- */

static gml_status make_thumbnail(reader *r, const gml_eval_set *set, uint32_t i, int64_t size,
                                 gml_str *out)
{
    gml_eval_recipe recipe = {.resize = size, .crop = size, .filter = GML_FILTER_BICUBIC};
    gml_image image;
    gml_planes planes;
    GML_TRY(decode(r, set, i, &image));
    GML_TRY(shrink(r, &recipe, &image, &planes));
    uint8_t *pixels = gml_scratch_array(&r->memory.scratch, uint8_t, 3 * size * size);
    if (pixels == NULL)
        return GML_E_MEMORY;
    for (int64_t p = 0; p < 3 * size * size; p++)
        pixels[p] = planes.data[p % 3 * size * size + p / 3];
    gml_status status = gml_jpeg_encode(&(gml_pixels){pixels, size, size, 3}, 85, out);
    if (status == GML_E_UNSUPPORTED)
        snprintf(r->error, sizeof r->error,
                 "cannot be shown in a report: this build cannot write JPEG");
    return status;
}

gml_status gml_eval_thumbnail(const gml_eval_set *set, uint32_t i, int64_t size, gml_str *out,
                              gml_diags *diags)
{
    reader r = {.job = NULL};
    r.status = make_thumbnail(&r, set, i, size, out);
    gml_worker_memory_reset(&r.memory);
    return r.status == GML_OK ? GML_OK : blame(set, i, &r, diags);
}
