/* codegen/winograd.h - 3 x 3 convolutions with fewer multiplications.
 *
 * Winograd's F(2 x 2, 3 x 3): a tile of 2 x 2 results needs 4 x 4 inputs d. With
 *
 *          1  0 -1  0           1   0   0
 *     B' = 0  1  1  0      G = 1/2 1/2 1/2      A' = 1 1  1  0
 *          0 -1  1  0          1/2-1/2 1/2           0 1 -1 -1
 *          0  1  0 -1           0   0   1
 *
 *     Y = A' [ (G g G') . (B' d B) ] A          (. element by element)
 *
 * and summed over channels the middle is 16 products of matrices, tiles x channels by channels
 * x columns: 16 multiplications where the definition has 36. The sums are shorter by nine, so
 * that in single precision the result is about as exact (docs/performance.md measures it). S.
 * Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms
 * for Convolutional Neural Networks, 2016, for the use with channels.
 *
 * Loop IR in, loop IR out: what is made here are statements and a contraction like any other.
 */
#ifndef GML_CODEGEN_WINOGRAD_H
#define GML_CODEGEN_WINOGRAD_H

#include "codegen/contract.h"

typedef struct gml_winograd {
    /* Units of work: each does fill, product and finish for its tiles, which then stay in L2.
     * None: the three are phases over all tiles. */
    const gml_axis *outer[GML_MAX_RANK];
    unsigned n_outer;
    const gml_mem *weights; /* [16][panel][channel][column]: a new input, packed ahead */
    gml_stmt *pack;         /* makes it from `b` */
    gml_stmt *fill;         /* the 16 transformed inputs of each tile and channel */
    gml_contraction product;
    gml_stmt *finish; /* a list: the transformed sums, and the store's expression over them */
} gml_winograd;

/* False where `c` is no such convolution, or would not gain. `columns` are those of a panel.
 * May leave axes and memories behind. */
bool gml_winograd_find(gml_kernel *kernel, const gml_contraction *c, unsigned columns,
                       gml_winograd *out_winograd);

#endif
