/* codegen/llvm/gemm.h - matrix products as packed micro-kernels. Private to codegen/llvm.
 *
 * B is packed into panels of `nr` columns, [panel][k][nr]; A is read where it lies when its
 * rows are dense, else packed into rows. A unit of work is one panel and one block of rows: for
 * each tile of up to `mr` rows, all of k in registers, then the epilogue over the tile.
 *
 *          n: panels of nr                A rows of a block stay in L2, the panel streams
 * through
 *        +------+------+------+          L1 once a tile; mr*nr sums are in registers. Every
 * element m    | unit | unit | unit |          of y is summed in the order of k by one thread:
 * the result blocks+------+------+------+         does not depend on the number of threads. |
 * unit | unit | unit |
 *        +------+------+------+
 */
#ifndef GML_CODEGEN_LLVM_GEMM_H
#define GML_CODEGEN_LLVM_GEMM_H

#include "codegen/contract.h"
#include "codegen/llvm/emit.h"

typedef struct gml_gemm {
    gml_contraction c;
    unsigned mr, nr;   /* rows and columns of the register tile */
    gml_dim tiles;     /* of rows */
    int64_t tile_rows; /* rows of a tile when M is constant (the first `wide_tiles` have one
                          more), else mr */
    int64_t wide_tiles;
    int64_t block_tiles; /* tiles of a unit */
    gml_dim blocks, panels;
    const gml_mem *a_mem, *b_mem; /* packed; a_mem NULL: read in place */
    const gml_expr *a;            /* load of A at (batch, m, k) */
    gml_stmt *pack_a, *pack_b;    /* statements that fill them; a list; NULL: nothing to do */
} gml_gemm;

/* Decides tiles and makes the memories and statements of packing. B that is constant is packed
 * into a further input of the kernel, otherwise into a shared local. */
void gml_gemm_prepare(gml_backend *be, gml_kernel *kernel, const gml_contraction *c,
                      gml_gemm *out_gemm);
gml_dim gml_gemm_units(gml_kernel *kernel, const gml_gemm *gemm);
/* Writes one unit of work. */
void gml_gemm_emit(gml_emit *e, const gml_gemm *gemm, LLVMValueRef unit);

#endif
