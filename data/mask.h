/* data/mask.h - which patches of a view the online branch does not see.
 *
 * Block masks are BEiT's: rectangles of random place, area and aspect until `masked` patches
 * are covered, what is missing then one by one. Random masks: any `masked` patches. Both mask
 * exactly `masked` of them, so that batches are dense.
 */
#ifndef GML_DATA_MASK_H
#define GML_DATA_MASK_H

#include "data/random.h"

#include <stdbool.h>

#define GML_MAX_GRID 256 /* patches a side */

typedef struct gml_mask {
    bool random;       /* no blocks */
    int64_t grid;      /* patches a side, 1 to GML_MAX_GRID */
    int64_t masked;    /* 0 to grid² - 1 */
    int64_t block_min; /* patches of a block; the largest block has `masked` */
    double aspect_max; /* height over width of a block is within 1/aspect_max … aspect_max */
} gml_mask;

/* SiameseIM's for a grid: 118 of 196 patches and blocks from 16, in proportion. */
gml_mask gml_mask_siameseim(int64_t grid);
/* A word on what is wrong with it, or NULL. */
const char *gml_mask_check(const gml_mask *mask);

/* `cells` is (grid, grid), true where masked. Returns how many of them the blocks covered. */
int64_t gml_mask_draw(const gml_mask *mask, gml_rng *rng, bool *cells);
/* The cells that are not masked, rising: grid² - masked numbers, row times grid plus column. */
void gml_mask_visible(const gml_mask *mask, const bool *cells, int64_t *out_visible);

#endif
