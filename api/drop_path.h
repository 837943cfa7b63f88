/* api/drop_path.h - stochastic depth of a vision transformer: branches of its blocks get
 * factors.
 *
 * A branch is the operand of an Add that is computed from the other one by way of weights
 * called "blocks.K.", all of the same K, whatever the operators between are; an Add whose first
 * dimension is not the batch is none. Of n blocks the branches of block k are to be left out
 * with probability rate k / (n - 1), and what is left divided by the rest: a branch with a
 * probability above 0 is multiplied by its row of the input
 *
 *     drop_path   f32 (branches, N)
 *
 * behind the model's own, one number a sample. Where all of them are 1 the model is what it
 * was.
 */
#ifndef GML_API_DROP_PATH_H
#define GML_API_DROP_PATH_H

#include "base/arena.h"
#include "gemel/build.h"

typedef struct gml_drop_path {
    double rate; /* of the last block, 0 to 1 */
    /* what was found */
    size_t n;      /* branches with a factor; 0: there is no input */
    double *rates; /* (n): probabilities, above 0, in the order of the graph */
} gml_drop_path;

/* Changes the model that `b` continues, before anything is added to it; `rates` is in `arena`,
 * which is not the module's. Without a branch, and at a rate of 0, nothing changes. Faults are
 * the builder's. */
void gml_drop_path_add(gml_builder *b, gml_drop_path *drop, gml_arena *arena);

#endif
