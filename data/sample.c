#include "data/sample.h"

#include "base/diag.h"
#include "data/geometry.h"

#include <stdio.h>

void gml_worker_memory_reset(gml_worker_memory *memory)
{
    gml_work_reset(&memory->work);
    gml_scratch_reset(&memory->scratch);
}

gml_status gml_sample_decode(const gml_dataset *dataset, uint32_t index,
                             gml_worker_memory *memory, gml_image *image, char *why,
                             size_t size)
{
    gml_picture_bytes file = {.error = ""};
    image->size = 0;
    gml_status status = gml_dataset_read(dataset, index, &memory->work, &file);
    if (status != GML_OK) {
        snprintf(why, size, "%s", file.error);
        return status;
    }
    image->bytes = file.data;
    image->size = file.size;
    image->scratch = &memory->scratch;
    status = gml_image_decode(image);
    if (status != GML_OK)
        snprintf(why, size, "%s", image->error);
    return status;
}

/* All that is drawn comes from the index of the picture that was meant. */
static gml_status augment(const gml_loader_options *options, const gml_image *image,
                          gml_work *work, const gml_sample *sample)
{
    static const gml_draw purposes[] = {GML_DRAW_VIEW1, GML_DRAW_VIEW2};
    gml_pixels pixels = {image->pixels, image->height, image->width, 3};
    gml_view views[2];
    gml_rng rng;
    for (int i = 0; i < options->n_views; i++) {
        const gml_recipe *recipe = &options->views[i];
        gml_rng_init(&rng, options->seed, sample->epoch, sample->order[0], purposes[i]);
        views[i] = gml_view_draw(recipe, &rng, image->height, image->width);
        GML_TRY(gml_view_apply(recipe, &views[i], &pixels, work, sample->views[i]));
    }
    if (options->n_views == 2)
        gml_geometry(&views[0], &views[1], image->width, sample->geometry);
    bool cells[GML_MAX_GRID * GML_MAX_GRID];
    gml_rng_init(&rng, options->seed, sample->epoch, sample->order[0], GML_DRAW_MASK);
    (void)gml_mask_draw(&options->mask, &rng, cells);
    gml_mask_visible(&options->mask, cells, sample->visible);
    return GML_OK;
}

gml_status gml_sample_make(const gml_dataset *dataset, const gml_loader_options *options,
                           gml_worker_memory *memory, gml_sample *sample)
{
    char first_why[sizeof sample->why] = "";
    sample->bad = GML_OK;
    sample->file_bytes = 0;
    for (uint32_t i = 0; i < sample->n_order; i++) {
        gml_image image = {.max_pixels = options->max_pixels,
                           .least_side = options->fast_jpeg ? 2 * options->views[0].size : 0};
        gml_status status = gml_sample_decode(dataset, sample->order[i], memory, &image,
                                              sample->why, sizeof sample->why);
        sample->file_bytes += image.size;
        if (status == GML_OK)
            status = augment(options, &image, &memory->work, sample);
        gml_scratch_reset(&memory->scratch);
        sample->index = sample->order[i];
        if (status == GML_OK || status == GML_E_MEMORY) {
            snprintf(sample->why, sizeof sample->why, "%s",
                     i > 0              ? first_why
                     : status == GML_OK ? ""
                                        : "out of memory");
            return status;
        }
        if (i == 0) {
            sample->bad = status;
            snprintf(first_why, sizeof first_why, "%s", sample->why);
        }
    }
    snprintf(sample->why, sizeof sample->why, "%s", first_why);
    return sample->bad;
}
