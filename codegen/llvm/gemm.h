/* codegen/llvm/gemm.h - matrix products as packed micro-kernels. Private to codegen/llvm.
 *
 * B is packed into panels of `nr` columns, [panel][k][nr]. A is read where it lies when its
 * rows and taps move evenly, from a copy of its positions when rows overlap
 * (codegen/positions.h), else it is packed into rows. A unit of work is one panel and one block
 * of tiles: for each tile of up to `mr` rows, all of k in registers, then the epilogue over the
 * tile.
 *
 *                    n: panels of nr
 *                +------+------+------+      The rows of a block stay in L2, the panel streams
 *                | unit | unit | unit |      through L1 once a tile; mr * nr sums are in
 *     m: blocks  +------+------+------+      registers. Every element of y is summed in the
 *     of tiles   | unit | unit | unit |      order of k by one thread: the result does not
 *                +------+------+------+      depend on the number of threads.
 *
 * Where k is so long that neither rows nor panel would stay in cache, the product is cut along
 * k into parts, one after the other for all units; each part packs what it reads into the same
 * memory.
 *
 * Long sums are sums of shorter ones, of some hundred products each: the error of a sum grows
 * with its length.
 *
 * Rows are lines of evenly spaced steps. A step is one row, or a whole run of rows where runs
 * are short: the tiles of a 7 x 7 image take two lines of pixels each. So within a tile the
 * distance from row to row is known when compiling.
 */
#ifndef GML_CODEGEN_LLVM_GEMM_H
#define GML_CODEGEN_LLVM_GEMM_H

#include "codegen/contract.h"
#include "codegen/llvm/emit.h"
#include "codegen/positions.h"

typedef struct gml_gemm {
    gml_contraction c;
    unsigned vectors;                       /* in a row of the register tile: 1 or 2 */
    unsigned mr, nr;                        /* rows and columns of the register tile, at most */
    const gml_expr *a;                      /* load of A */
    const gml_axis *zero[2 * GML_MAX_RANK]; /* the axes that rows and taps in `a` consist of */
    unsigned n_zero;
    gml_run rows[GML_MAX_RANK], taps[GML_MAX_RANK]; /* how `a` moves */
    unsigned n_rows, n_taps;
    bool in_chains; /* each step of taps[chain] sums by itself, and the sums are added up */
    unsigned chain;
    /* tiles */
    unsigned step_rows;   /* rows of a step */
    gml_dim line_steps;   /* steps of a line */
    gml_dim line_stride;  /* elements from step to step */
    unsigned n_line_runs; /* outer runs that count the lines */
    gml_dim line_tiles;   /* tiles of a line */
    int64_t tile_steps;   /* steps of a tile; the first `wide_tiles` have one more */
    int64_t wide_tiles;
    gml_dim tiles;       /* in all */
    gml_dim block_tiles; /* tiles of a unit */
    gml_dim blocks, panels;
    gml_dim group, groups;        /* panels of a unit, and how many such groups there are */
    bool blocks_inside;           /* units next to each other share panels, else a block */
    const gml_axis *band;         /* the block, where units copy what they read with pack_a */
    int64_t a_bytes, b_bytes;     /* for one value of the batch axes; large when not known */
    const gml_mem *a_mem, *b_mem; /* packed; a_mem NULL: A is read in place */
    bool is_packed;               /* A is, a part at a time */
    bool packs_b;
    const gml_axis *panel, *column; /* around what packs B */
    gml_dim depth;                  /* taps of B's panels: of a part, or all */
    gml_stmt *pack_a, *pack_b;      /* statements that fill them; a list; NULL: nothing to do */
    /* Of a product cut along k, this part: sums so far are kept in `sums`, [panel][m][nr]. */
    unsigned n_parts, part;
    const gml_axis *part_taps[2];   /* of a part; of the last one */
    int64_t first_of_a, first_of_b; /* of the part: its first element in a row of A, its first
                                       tap in a panel; taps[0] is cut to the part */
    const gml_mem *sums;
} gml_gemm;

/* Decides tiles and makes the memories of packing. B that is constant is packed into a further
 * input of the kernel, otherwise into a shared local. */
void gml_gemm_prepare(gml_backend *be, gml_kernel *kernel, const gml_contraction *c,
                      gml_gemm *out_gemm);
/* The same where B is in panels of gml_gemm_columns already. */
void gml_gemm_prepare_packed(gml_backend *be, gml_kernel *kernel, const gml_contraction *c,
                             const gml_mem *b, gml_gemm *out_gemm);
/* Part `part` of n_parts, which are done one after the other: what it packs first, and the form
 * to be written. */
gml_gemm gml_gemm_part(gml_kernel *kernel, const gml_gemm *gemm, unsigned part);
/* Columns of a panel for a product of so many. */
unsigned gml_gemm_columns(const gml_backend *be, gml_dim columns);
gml_dim gml_gemm_units(gml_kernel *kernel, const gml_gemm *gemm);
/* Writes one unit of work. */
void gml_gemm_emit(gml_emit *e, const gml_gemm *gemm, LLVMValueRef unit);

#endif
