/* codegen/positions.h - the left operand of a contraction whose rows overlap.
 *
 * A convolution reads its input at stride * row + dilation * tap: rows share most of what they
 * read. Instead of a matrix with a column for each tap, the distinct positions are copied once
 *
 *     copy[…, p, …] = a   with   p = stride * row + dilation * tap
 *
 * padding and whatever is computed on the way included, and the product reads the copy at
 * positions that move evenly with rows and with taps. Dimensions keep the order that they have
 * in the memory read, so that copying moves runs.
 */
#ifndef GML_CODEGEN_POSITIONS_H
#define GML_CODEGEN_POSITIONS_H

#include "codegen/contract.h"

/* A row and a tap that meet: position = stride * row + dilation * tap. */
typedef struct gml_meeting {
    const gml_axis *row, *tap;
    const gml_axis *position; /* a new axis over all positions */
    int64_t stride, dilation;
} gml_meeting;

typedef struct gml_sliding {
    gml_meeting meetings[GML_MAX_RANK]; /* at least one */
    unsigned n_meetings;
    const gml_expr *value; /* `a` in terms of batch, positions, and what meets nothing */
} gml_sliding;

/* False when no row and tap of constant extents meet in `a`, or do so in more than one way. May
 * leave new axes in the kernel. */
bool gml_sliding_find(gml_kernel *kernel, const gml_contraction *c, gml_sliding *out_sliding);
/* The meeting of a row or tap, or NULL. */
const gml_meeting *gml_sliding_meeting(const gml_sliding *sliding, const gml_axis *axis);

typedef struct gml_positions {
    const gml_mem *mem;    /* the copy: a new local */
    gml_stmt *fill;        /* loops that make it */
    const gml_expr *load;  /* what stands for `a`, in terms of batch, rows and taps */
    const gml_axis *block; /* of a band, else NULL */
    int64_t bytes;         /* of the copy, for one value of the batch axes */
} gml_positions;

/* False when gml_sliding_find is, or an extent is not constant. With `band` > 0 the copy holds
 * what `band` values of the first row axis read, from block * band on, for one value of the
 * batch axes; `fill` and `load` depend on the new axis `block`. False then, too, when the first
 * row meets no tap. */
bool gml_positions_find(gml_kernel *kernel, const gml_contraction *c, int64_t band,
                        gml_positions *out_positions);
/* Whether `row` meets one of `taps` in `a`. */
bool gml_positions_meet(const gml_expr *a, const gml_axis *row, const gml_axis *const *taps,
                        unsigned n_taps);

/* How an access moves: nested runs of evenly spaced elements, outermost first, neighbours that
 * follow each other merged. */
typedef struct gml_run {
    gml_dim extent;
    gml_dim stride; /* in elements */
} gml_run;

/* The runs of `load` over `axes`. Returns their number, at least 1; 0 when it does not move
 * evenly along them, or an extent is not constant. Room for GML_MAX_RANK. */
unsigned gml_positions_runs(gml_kernel *kernel, const gml_expr *load,
                            const gml_axis *const *axes, unsigned n_axes, gml_run *out_runs);

#endif
