/* eval/depth.h - stochastic depth: which branches a step leaves out (api/drop_path.h). */
#ifndef GML_EVAL_DEPTH_H
#define GML_EVAL_DEPTH_H

#include "api/drop_path.h"
#include "data/random.h"

#include <stdint.h>

/* The factors of a batch, `out` (branches, n_samples): each is 0 with the probability of its
 * branch, else 1 over the probability that it is not. */
void gml_depth_draw(const gml_drop_path *drop, gml_rng *rng, int64_t n_samples, float *out);
/* All of the network: every factor is 1. */
void gml_depth_all(const gml_drop_path *drop, int64_t n_samples, float *out);

#endif
