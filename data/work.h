/* data/work.h - one thread's working memory, kept from sample to sample.
 *
 * Each slot grows to the largest size that was asked of it, and stays. Begin with
 * `gml_work work = {0}`, end with gml_work_reset. One thread's at a time.
 */
#ifndef GML_DATA_WORK_H
#define GML_DATA_WORK_H

#include "runtime/value.h"

typedef enum gml_work_slot {
    GML_WORK_FILE,    /* bytes of a picture file */
    GML_WORK_PLANES,  /* a view's three planes */
    GML_WORK_MIDDLE,  /* a resize between its two directions */
    GML_WORK_TILE,    /* a resize: some rows, transposed */
    GML_WORK_COLUMNS, /* a resize: weights along rows */
    GML_WORK_ROWS,    /* a resize: weights along columns */
    GML_WORK_LUMA,    /* one plane */
    GML_WORK_BLUR,
    GML_WORK_COPY, /* of three planes */
    GML_WORK_SLOTS
} gml_work_slot;

typedef struct gml_work {
    gml_buffer *slots[GML_WORK_SLOTS];
} gml_work;

/* At least `size` bytes, aligned to 64, of any content; the same memory as before unless it had
 * to grow. NULL when there is none. */
void *gml_work_get(gml_work *work, gml_work_slot slot, size_t size);
void gml_work_reset(gml_work *work);

#endif
