/* data/loader_slot.h - a batch while it is made.
 *
 * A slot has memory for one batch: its tensors, which pictures are meant, what became of them.
 * It is opened for (epoch, number) by the thread that holds the loader's lock; then threads
 * fill its places, each place by one of them; then the caller has it.
 */
#ifndef GML_DATA_LOADER_SLOT_H
#define GML_DATA_LOADER_SLOT_H

#include "data/sample.h"

/* What became of a place. */
typedef struct gml_place {
    gml_status status; /* of gml_sample_make */
    gml_status bad;
    uint64_t file_bytes;
    char why[160];
} gml_place;

typedef struct gml_slot {
    gml_batch batch;
    gml_buffer *memory;
    float *views[2];
    int64_t *visible;
    float *geometry;
    uint32_t *order; /* (batch + GML_SPARES - 1) */
    uint32_t n_order;
    uint32_t *indices;
    int64_t *classes;
    gml_place *places;
    int64_t done; /* places filled; under the loader's lock */
} gml_slot;

/* GML_E_MEMORY. The slot is {0} before. */
GML_MUST_CHECK gml_status gml_slot_init(gml_slot *slot, const gml_loader_options *options);
void gml_slot_reset(gml_slot *slot);
/* Batch `number` of `epoch`, `count` pictures of the epoch's `order` of `n`. */
void gml_slot_open(gml_slot *slot, const gml_loader_options *options, uint32_t epoch,
                   uint32_t number, const uint32_t *order, uint32_t n);
/* Fills place `i`. */
void gml_slot_fill(gml_slot *slot, int64_t i, const gml_dataset *dataset,
                   const gml_loader_options *options, gml_worker_memory *memory);

#endif
