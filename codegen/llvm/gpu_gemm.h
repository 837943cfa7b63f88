/* codegen/llvm/gpu_gemm.h - matrix products of a GPU. Private to codegen/llvm.
 *
 * A block computes a tile of y for one value of the batch axes:
 *
 *          n            the block's threads copy a slice of `depth` of A's rows and of B's
 *       +-----+         columns into shared memory, evaluating both expressions on the way,
 *     m | tile|         then each multiplies its part of the slice out of registers; sums stay
 *       +-----+         in registers until k is done, then the epilogue stores them.
 *
 * Every element of y is summed in the order of k by one thread. */
#ifndef GML_CODEGEN_LLVM_GPU_GEMM_H
#define GML_CODEGEN_LLVM_GPU_GEMM_H

#include "codegen/contract.h"
#include "codegen/llvm/emit.h"

#define GML_GPU_GEMM_THREADS 256

typedef struct gml_gpu_gemm {
    gml_contraction c;
    unsigned rows, columns, depth; /* of a tile, and of a slice */
    bool a_along_k, b_along_k;     /* neighbours in memory are neighbours in k; else in m, n */
    unsigned a_lanes, b_lanes;     /* copied at once */
    unsigned y_lanes;              /* stored at once */
} gml_gpu_gemm;

/* False where another way is better: the product is too small. */
bool gml_gpu_gemm_prepare(gml_kernel *kernel, const gml_contraction *c, gml_gpu_gemm *out_gemm);
unsigned gml_gpu_gemm_shared(const gml_gpu_gemm *gemm); /* bytes */
gml_dim gml_gpu_gemm_units(gml_kernel *kernel, const gml_gpu_gemm *gemm);
/* Writes tile `unit`, by a team of GML_GPU_GEMM_THREADS. */
void gml_gpu_gemm_emit(gml_emit *e, const gml_gpu_gemm *gemm, LLVMValueRef unit);

#endif
