/* codegen/blocks.h - a kernel in stages, cut into units of a few rows, or columns.
 *
 * The stages of an attention do one head: scores, their softmax, weighted values. A head's
 * scores are more than a GPU's block can keep for itself, and there are fewer heads than keep a
 * GPU busy. But a stage that reads, of what stages before stored, its own row alone can be done
 * for some rows at a time:
 *
 *     for h                                 for h, ib in 4
 *         for i in 197, j in 197                for r in 62, j in 197
 *             s[i,j] = sum(d: q[i,d] k[j,d])        s[r,j] = sum(d: q[45 ib + r,d] k[j,d])
 *         for i in 197                          for r in 62
 *             m = max(j: s[i,j]) ...                m = max(j: s[r,j]) ...
 *
 * Blocks overlap where they do not divide the rows (rows 45 to 61 are done twice, and have the
 * same bits), so that all are alike and every index moves evenly. The first that does a row
 * stores it: no element is written by two, and none is read by one when the other has written
 * it, where a result takes the place of an operand.
 *
 * Stages that sum over the rows, as the gradients of keys and values do, are units of some
 * columns: what they read is computed again for these columns and all rows, with the scalars of
 * rows (maximum, sum), which the units of rows store for them. What a stage computes from
 * another's array element by element lies over it when nobody reads that any more.
 */
#ifndef GML_CODEGEN_BLOCKS_H
#define GML_CODEGEN_BLOCKS_H

#include "ir/loop.h"

#define GML_MAX_BLOCK_UNITS 2

/* Every stage is done for each value of the axes around. */
typedef struct gml_block_unit {
    const gml_axis *const *outer;
    unsigned n_outer;
    const gml_stmt *stages;
} gml_block_unit;

/* Units of at most `rows` rows or columns whose own arrays take at most `bytes`, to be done one
 * after the other: those of rows, and those of columns if there are such stages. Returns how
 * many there are; 0 when the kernel is not of that kind, or needs no cutting. */
unsigned gml_blocks_cut(gml_kernel *kernel, int64_t rows, int64_t bytes,
                        gml_block_unit out_units[GML_MAX_BLOCK_UNITS]);

#endif
