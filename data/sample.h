/* data/sample.h - one place of a batch: a picture read, decoded and augmented.
 *
 * Depends on its operands alone; may run on any thread, each with a worker of its own.
 */
#ifndef GML_DATA_SAMPLE_H
#define GML_DATA_SAMPLE_H

#include "data/loader.h"
#include "runtime/image.h"
#include "runtime/scratch.h"

#define GML_SPARES 32 /* pictures of the order that may take a place, the first included */

/* A thread's memory. Begin with {0}. */
typedef struct gml_worker_memory {
    gml_work work;
    gml_scratch scratch;
} gml_worker_memory;

void gml_worker_memory_reset(gml_worker_memory *memory);

/* Reads and decodes picture `index` into the worker's scratch. `image` has its limits set, and
 * gets the rest; its `size` is that of the file. After a failure `why`, room for `size`
 * characters, says what is wrong. */
GML_MUST_CHECK gml_status gml_sample_decode(const gml_dataset *dataset, uint32_t index,
                                            gml_worker_memory *memory, gml_image *image,
                                            char *why, size_t size);

typedef struct gml_sample {
    /* given */
    uint32_t epoch;
    const uint32_t *order; /* n_order pictures: the one meant, then those that may replace it */
    uint32_t n_order;
    float *views[2];  /* (3, size, size) each; the second NULL with one view */
    int64_t *visible; /* grid² - masked */
    float *geometry;  /* GML_GEOMETRY, or NULL with one view */
    /* the result */
    uint32_t index;      /* which picture it became */
    uint64_t file_bytes; /* read, of all that were tried */
    gml_status bad;      /* why the one meant was replaced; GML_OK: it was not */
    char why[160];
} gml_sample;

/* GML_OK; GML_E_MEMORY; or, when none of the pictures can be used, what is wrong with the
 * first. */
GML_MUST_CHECK gml_status gml_sample_make(const gml_dataset *dataset,
                                          const gml_loader_options *options,
                                          gml_worker_memory *memory, gml_sample *sample);

#endif
