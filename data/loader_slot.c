#include "data/loader_slot.h"

#include "data/geometry.h"

#include <stdio.h>
#include <string.h>

#define GML_ALIGNMENT 64u

/* Room for `count` elements of `size` bytes from `*at` on, which moves behind it. */
static size_t place(size_t *at, int64_t count, size_t size)
{
    size_t offset = (*at + GML_ALIGNMENT - 1) / GML_ALIGNMENT * GML_ALIGNMENT;
    *at = offset + (size_t)count * size;
    return offset;
}

static void add_tensor(gml_batch *batch, const char *name, gml_tensor tensor)
{
    batch->names[batch->n_tensors] = name;
    batch->tensors[batch->n_tensors++] = tensor;
}

static void describe(gml_slot *slot, const gml_loader_options *options)
{
    int64_t b = options->batch;
    int64_t s = options->views[0].size;
    int64_t v = options->mask.grid * options->mask.grid - options->mask.masked;
    gml_batch *batch = &slot->batch;
    add_tensor(batch, "x1", (gml_tensor){GML_F32, 4, {b, 3, s, s}, slot->views[0]});
    if (options->n_views == 2)
        add_tensor(batch, "x2", (gml_tensor){GML_F32, 4, {b, 3, s, s}, slot->views[1]});
    add_tensor(batch, "visible", (gml_tensor){GML_I64, 2, {b, v}, slot->visible});
    if (options->n_views == 2)
        add_tensor(batch, "geometry",
                   (gml_tensor){GML_F32, 2, {b, GML_GEOMETRY}, slot->geometry});
    batch->indices = slot->indices;
    batch->classes = slot->classes;
}

gml_status gml_slot_init(gml_slot *slot, const gml_loader_options *options)
{
    int64_t b = options->batch;
    int64_t pixels = 3 * options->views[0].size * options->views[0].size;
    int64_t v = options->mask.grid * options->mask.grid - options->mask.masked;
    size_t at = 0;
    size_t view1 = place(&at, b * pixels, sizeof(float));
    size_t view2 = place(&at, options->n_views == 2 ? b * pixels : 0, sizeof(float));
    size_t visible = place(&at, b * v, sizeof(int64_t));
    size_t geometry = place(&at, b * GML_GEOMETRY, sizeof(float));
    size_t order = place(&at, b + GML_SPARES, sizeof(uint32_t));
    size_t indices = place(&at, b, sizeof(uint32_t));
    size_t classes = place(&at, b, sizeof(int64_t));
    size_t places = place(&at, b, sizeof(gml_place));
    slot->memory = gml_buffer_create(at, false);
    if (slot->memory == NULL)
        return GML_E_MEMORY;
    char *memory = gml_buffer_data(slot->memory);
    slot->views[0] = (float *)(void *)(memory + view1);
    slot->views[1] = options->n_views == 2 ? (float *)(void *)(memory + view2) : NULL;
    slot->visible = (int64_t *)(void *)(memory + visible);
    slot->geometry = (float *)(void *)(memory + geometry);
    slot->order = (uint32_t *)(void *)(memory + order);
    slot->indices = (uint32_t *)(void *)(memory + indices);
    slot->classes = (int64_t *)(void *)(memory + classes);
    slot->places = (gml_place *)(void *)(memory + places);
    describe(slot, options);
    return GML_OK;
}

void gml_slot_reset(gml_slot *slot)
{
    gml_buffer_release(slot->memory);
    *slot = (gml_slot){.memory = NULL};
}

void gml_slot_open(gml_slot *slot, const gml_loader_options *options, uint32_t epoch,
                   uint32_t number, const uint32_t *order, uint32_t n)
{
    uint64_t first = (uint64_t)number * (uint64_t)options->batch;
    int64_t left = (int64_t)((uint64_t)n - first);
    gml_batch *batch = &slot->batch;
    batch->epoch = epoch;
    batch->number = number;
    batch->count = left < options->batch ? left : options->batch;
    for (int i = 0; i < batch->n_tensors; i++)
        batch->tensors[i].dims[0] = batch->count;
    slot->n_order = (uint32_t)batch->count + GML_SPARES - 1;
    for (uint32_t i = 0; i < slot->n_order; i++)
        slot->order[i] = order[(first + i) % n];
    slot->done = 0;
}

void gml_slot_fill(gml_slot *slot, int64_t i, const gml_dataset *dataset,
                   const gml_loader_options *options, gml_worker_memory *memory)
{
    int64_t pixels = 3 * options->views[0].size * options->views[0].size;
    int64_t v = options->mask.grid * options->mask.grid - options->mask.masked;
    uint32_t n = gml_dataset_count(dataset);
    gml_sample sample = {.epoch = slot->batch.epoch,
                         .order = slot->order + i,
                         .n_order = n < GML_SPARES ? n : GML_SPARES,
                         .visible = slot->visible + i * v};
    sample.views[0] = slot->views[0] + i * pixels;
    if (options->n_views == 2) {
        sample.views[1] = slot->views[1] + i * pixels;
        sample.geometry = slot->geometry + i * GML_GEOMETRY;
    }
    gml_place *place = &slot->places[i];
    place->status = gml_sample_make(dataset, options, memory, &sample);
    place->bad = sample.bad;
    place->file_bytes = sample.file_bytes;
    memcpy(place->why, sample.why, sizeof place->why);
    slot->indices[i] = sample.index;
    slot->classes[i] = gml_dataset_class(dataset, sample.index);
}
