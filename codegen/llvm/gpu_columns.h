/* codegen/llvm/gpu_columns.h - column sums on a GPU: what a block adds up of the rows that it
 * stores (codegen/columns.h). Private to codegen/llvm.
 *
 * A store of role GML_MEM_SUM adds to a variable of the thread. Of a flat nest a thread has a
 * vector of columns and a run of rows, and stores its sums as parts itself. Of a tile of a
 * product threads that have the same columns are added up, by exchange between lanes and then
 * in shared memory, in a fixed order. */
#ifndef GML_CODEGEN_LLVM_GPU_COLUMNS_H
#define GML_CODEGEN_LLVM_GPU_COLUMNS_H

#include "codegen/columns.h"
#include "codegen/llvm/gpu.h"
#include "codegen/llvm/gpu_gemm.h"

/* ---- a flat nest whose rows are cut into runs --------------------------------------------- */

/* How many runs of rows; 0: the nest is none that can be cut so. */
int64_t gml_gpu_columns_parts(const gml_gpu_nest *nest, const gml_columns *columns);
/* Units: a vector of columns in a run of rows. */
int64_t gml_gpu_columns_units(const gml_gpu_nest *nest, const gml_columns *columns);
/* Stores and sums what belongs to the units `begin`, `begin` + `step`, …. */
void gml_gpu_columns_emit(gml_emit *e, const gml_gpu_nest *nest, const gml_columns *columns,
                          LLVMValueRef begin, LLVMValueRef step);

/* ---- a tile of a product ------------------------------------------------------------------ */

/* Whether the product's rows and columns are those of the sums. */
bool gml_tile_sums_fit(gml_kernel *kernel, const gml_contraction *c,
                       const gml_columns *columns);
/* Bytes of shared memory for them. */
unsigned gml_tile_sums_shared(const gml_gpu_gemm *gemm);

/* Between these two all stores are to the same `lanes` columns of the tile, the first of them
 * `column`. Threads whose numbers differ in bits of `same` alone have the same ones; what they
 * add up to goes to row `group` of the tile's `groups` in shared memory. Nothing happens where
 * the tile has no sums. */
void gml_tile_sums_begin(gml_tile *tile, unsigned lanes);
void gml_tile_sums_end(gml_tile *tile, LLVMValueRef column, unsigned same, LLVMValueRef group);
/* The store of a sum, of lanes from `lane` on. */
void gml_tile_sums_add(gml_tile *tile, const gml_stmt *store, unsigned lane);
/* Stores the parts, of so many groups, when all columns are done. */
void gml_tile_sums_store(gml_tile *tile, unsigned n_groups);

#endif
