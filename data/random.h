/* data/random.h - what is drawn for a sample depends on its place alone.
 *
 * A stream of numbers is a function of (seed, epoch, index, purpose): Philox 4x32-10 with the
 * seed as its key. Whichever thread draws, and whatever was drawn before, the numbers of a
 * sample are the same. At most 2^34 words a stream.
 *
 *     gml_rng rng;
 *     gml_rng_init(&rng, seed, epoch, index, GML_DRAW_MASK);
 *     double u = gml_rng_unit(&rng);
 *
 * A gml_rng is a value, 44 bytes; copying one repeats its numbers. Cannot fail.
 */
#ifndef GML_DATA_RANDOM_H
#define GML_DATA_RANDOM_H

#include <stdint.h>

typedef enum gml_draw {
    GML_DRAW_ORDER, /* of an epoch; index 0 */
    GML_DRAW_VIEW1,
    GML_DRAW_VIEW2,
    GML_DRAW_MASK,
    GML_DRAW_SHAPE, /* a picture of data/shapes.h; the epoch is its part */
    GML_DRAW_EVAL,  /* what an evaluation draws */
    GML_DRAW_RAND,  /* RandAugment's operations */
    GML_DRAW_DROP,  /* which branches a step leaves out; the index is the step's in its epoch */
} gml_draw;

typedef struct gml_rng {
    uint32_t key[2];
    uint32_t counter[4]; /* block, epoch, index low, purpose and index high (24 bits) */
    uint32_t words[4];
    unsigned left; /* of `words`, from the end */
} gml_rng;

/* `index` below 2^56. */
void gml_rng_init(gml_rng *rng, uint64_t seed, uint32_t epoch, uint64_t index,
                  gml_draw purpose);

uint32_t gml_rng_word(gml_rng *rng);
/* Evenly in [0, 1), 53 bits. */
double gml_rng_unit(gml_rng *rng);
/* Evenly between `low` and `high`, which may be reversed: low + (high - low) u. */
double gml_rng_uniform(gml_rng *rng, double low, double high);
/* Of mean 0 and variance 1; takes two units. */
double gml_rng_normal(gml_rng *rng);
/* Evenly one of 0 … n - 1, without bias; `n` at least 1. */
uint64_t gml_rng_below(gml_rng *rng, uint64_t n);
/* Exchanges `order`'s `n` elements so that each order is equally likely (Fisher and Yates). */
void gml_rng_shuffle(gml_rng *rng, uint32_t *order, uint32_t n);

#endif
