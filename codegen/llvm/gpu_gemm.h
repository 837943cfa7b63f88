/* codegen/llvm/gpu_gemm.h - matrix products of a GPU. Private to codegen/llvm.
 *
 * A block computes a tile of y for one value of the batch axes:
 *
 *          n            the block's threads copy a slice of `depth` of A's rows and of B's
 *       +-----+         columns into shared memory, evaluating both expressions on the way,
 *     m | tile|         then each multiplies its part of the slice; sums stay in registers
 * until
 *       +-----+         k is done, and then the epilogue stores them. While one slice is
 *                       multiplied the next is on its way.
 *
 * Every element of y is summed in a fixed order: by one thread in the order of k, or by the
 * tensor cores. */
#ifndef GML_CODEGEN_LLVM_GPU_GEMM_H
#define GML_CODEGEN_LLVM_GPU_GEMM_H

#include "codegen/columns.h"
#include "codegen/contract.h"
#include "codegen/llvm/emit.h"

#define GML_GPU_GEMM_THREADS 256

/* Bytes of shared memory for reductions, before the slices of products. */
#define GML_PARTIALS 256

/* An operand as bulk copies see it (gpu_box.c). */
typedef struct gml_gpu_box {
    const gml_mem *mem; /* whose number the map gets when it is known */
    gml_map_layout map;
    const gml_expr *at[GML_MAP_RANK]; /* where in each dimension, of the product's axes */
} gml_gpu_box;

typedef struct gml_gpu_gemm {
    gml_contraction c;
    bool is_mma; /* operands rounded to bf16, on tensor cores; else f32 */
    /* Operands as they lie in memory, in bf16: loads of eight neighbours along k, or along m
     * and n, at positions that eight divides. NULL: they are evaluated while they are copied.
     */
    const gml_expr *a_load, *b_load;
    gml_stmt *pack_a, *pack_b;     /* statements that make them so; NULL: they are */
    bool is_wgmma;                 /* streamed, by what sm_90a has for it */
    gml_gpu_box boxes[2];          /* then: A and B */
    unsigned rows, columns, depth; /* of a tile, and of a slice */
    bool a_along_k, b_along_k;     /* neighbours in memory are neighbours in k; else in m, n */
    unsigned a_lanes, b_lanes;     /* copied at once */
    unsigned y_lanes;              /* elements of y whose stores are one */
    const gml_columns *columns_of; /* sums of columns of what is stored; NULL: none */
} gml_gpu_gemm;

/* False where another way is better: the product is too small. */
bool gml_gpu_gemm_prepare(const gml_backend *be, gml_kernel *kernel, const gml_contraction *c,
                          gml_gpu_gemm *out_gemm);
/* `expr` is a load of bf16 whose neighbours along `axis` can be copied as they are, in pieces.
 */
bool gml_gpu_gemm_copies(gml_kernel *kernel, const gml_expr *expr, const gml_axis *axis);
/* Brings both operands into memory as bf16, where they are not yet: for a product that stands
 * by itself. False where it is not one for tensor cores. */
bool gml_gpu_gemm_stream(gml_kernel *kernel, gml_gpu_gemm *gemm);
unsigned gml_gpu_gemm_shared(const gml_gpu_gemm *gemm); /* bytes, behind the partial sums */
gml_dim gml_gpu_gemm_units(gml_kernel *kernel, const gml_gpu_gemm *gemm);
/* Writes tile `unit`, by a team of GML_GPU_GEMM_THREADS. */
void gml_gpu_gemm_emit(gml_emit *e, const gml_gpu_gemm *gemm, LLVMValueRef unit);

/* Writes a tile whose operands are streamed (gpu_stream.c). */
void gml_gpu_stream_emit(gml_emit *e, const gml_gpu_gemm *gemm, LLVMValueRef unit);
#define GML_STREAM_STAGES 4 /* slices in shared memory at once */

/* ---- on sm_90a (gpu_box.c, gpu_wgmma.c) ---- */

#define GML_BOX_LINE 64 /* elements, of a swizzled line */

/* The operand as boxes of `lines` along `line` by GML_BOX_LINE along `at`, where memory runs;
 * each begins at a multiple of its size. False where some slice is in no such box. */
bool gml_gpu_box_find(gml_kernel *kernel, const gml_expr *load, const gml_axis *at,
                      const gml_axis *line, uint32_t lines, gml_gpu_box *out_box);

#define GML_WGMMA_SUMS 128

/* What a block's tiles have in common. */
typedef struct gml_gpu_pipe {
    LLVMValueRef maps[2]; /* of A and B */
    LLVMValueRef slices;  /* a variable: how many the block has multiplied */
} gml_gpu_pipe;

/* A product that is streamed becomes one of wgmma, where there is that and boxes of the
 * operands can be copied; otherwise it stays as it is. */
void gml_gpu_wgmma_choose(const gml_backend *be, gml_kernel *kernel, gml_gpu_gemm *gemm);
unsigned gml_gpu_wgmma_shared(const gml_gpu_gemm *gemm); /* bytes, partial sums included */
/* Once in a function whose maps are set, then for each tile. */
void gml_gpu_wgmma_begin(gml_emit *e, const gml_gpu_gemm *gemm, gml_gpu_pipe *pipe);
void gml_gpu_wgmma_emit(gml_emit *e, const gml_gpu_gemm *gemm, gml_gpu_pipe *pipe,
                        LLVMValueRef unit);

/* ---- between gpu_gemm.c and the two ways to multiply ------------------------------------- */

#define GML_TILE_SUMS     64
#define GML_MAX_SUM_LANES 4

/* An operand's slice in shared memory: [k][line] of f32; for tensor cores bf16, [k][line] or,
 * along k, [side][line]. */
typedef struct gml_operand {
    const gml_expr *expr; /* or the load, of one that is streamed */
    const gml_axis *side; /* m or n */
    LLVMValueRef first;   /* of the tile along it */
    unsigned extent;      /* of the tile */
    bool along_k;
    unsigned lanes;
    unsigned line;       /* elements from line to line */
    unsigned bytes;      /* of the slice */
    LLVMValueRef shared; /* of all slices, one behind the other */
} gml_operand;

typedef struct gml_tile {
    gml_emit *e;
    const gml_gpu_gemm *g;
    gml_operand a, b;
    LLVMValueRef y, x; /* this thread's first row and column in the tile */
    unsigned n_sums;   /* values carried through k: vectors of f32, or f32 */
    /* of gpu_columns.c: variables by sum of columns and lane, and where the block's are */
    LLVMValueRef column_sums[GML_MAX_COLUMN_SUMS][GML_MAX_SUM_LANES];
    unsigned sum_lanes;
    LLVMValueRef sums_shared;
} gml_tile;

/* Where this thread's sums are, and what they start as. */
void gml_fma_begin(gml_tile *tile, LLVMValueRef *out_sums);
/* Adds the products of the slices at `a` and `b` (shared memory), of k from `begin` to `end`.
 */
void gml_fma_multiply(gml_tile *tile, LLVMValueRef a, LLVMValueRef b, unsigned begin,
                      unsigned end, LLVMValueRef *sums);
void gml_fma_store(gml_tile *tile, LLVMValueRef const *sums);
/* The same on tensor cores. */
void gml_mma_begin(gml_tile *tile, LLVMValueRef *out_sums);
void gml_mma_multiply(gml_tile *tile, LLVMValueRef a, LLVMValueRef b, unsigned begin,
                      unsigned end, LLVMValueRef *sums);
void gml_mma_store(gml_tile *tile, LLVMValueRef const *sums);

/* Which tile `unit` is: where it begins, and the batch axes' values. */
void gml_tile_find(gml_tile *tile, LLVMValueRef unit);
/* That, and the operands' places in shared memory with `slices` slices. */
void gml_tile_place(gml_tile *tile, LLVMValueRef unit, unsigned slices);
/* Stores `lanes` neighbouring sums, of which the first is at `row`, `column` of the tile. */
void gml_tile_store(gml_tile *tile, LLVMValueRef row, LLVMValueRef column, LLVMValueRef sums,
                    unsigned lanes);

static inline LLVMValueRef gml_tile_add(gml_emit *e, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildNSWAdd(e->b, a, b, "");
}

static inline LLVMValueRef gml_tile_times(gml_emit *e, LLVMValueRef a, int64_t b)
{
    return LLVMBuildNSWMul(e->b, a, gml_ll_int(e, b), "");
}

static inline LLVMValueRef gml_tile_pair(gml_emit *e, LLVMValueRef a, LLVMValueRef b)
{
    LLVMValueRef both = LLVMGetPoison(LLVMVectorType(e->be->f32, 2));
    both = LLVMBuildInsertElement(e->b, both, a, LLVMConstInt(e->be->i32, 0, 0), "");
    return LLVMBuildInsertElement(e->b, both, b, LLVMConstInt(e->be->i32, 1, 0), "");
}

#endif
