/* eval/mixing.h - what is done to a batch of pictures and their classes to train a classifier.
 *
 * In this order: boxes of noise in single pictures (random erasing), then one of mixup, a
 * weighted sum of each picture and its partner, and cutmix, a box of the partner, with one
 * number for the batch. The partner is the picture in the same place of the batch reversed. A
 * class becomes shares of all: with smoothing s, C classes and a share m of the own picture,
 *
 *     m t(own) + (1 - m) t(partner),   t = 1 - s + s / C at the class and s / C elsewhere
 *
 * What is drawn depends on (seed, step) alone.
 */
#ifndef GML_EVAL_MIXING_H
#define GML_EVAL_MIXING_H

#include "data/random.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct gml_mixing {
    double smoothing; /* of classes, 0 to 1 */
    double mixup;     /* Beta(mixup, mixup) is drawn from, at most 1; 0: no mixup */
    double cutmix;    /* the same; where both are wanted each is taken half of the time */
    double erase;     /* probability that a picture gets a box of noise */
} gml_mixing;

typedef struct gml_batch_view {
    float *pictures; /* (n, 3, size, size), normalised */
    const int64_t *labels;
    float *targets; /* (n, n_classes), filled in */
    size_t n;
    int64_t size, n_classes;
} gml_batch_view;

void gml_mixing_apply(const gml_mixing *mixing, gml_rng *rng, const gml_batch_view *batch);

#endif
