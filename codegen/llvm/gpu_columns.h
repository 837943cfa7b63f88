/* codegen/llvm/gpu_columns.h - column sums on a GPU: what is added up of the rows that are
 * stored (codegen/columns.h). Private to codegen/llvm.
 *
 *   flat    a thread has a vector of columns and a run of rows; its sums are registers, and
 *           parts at the end
 *   block   a block strides over the rows; its sums are in shared memory, where an element is
 *           always the same thread's
 *   tile    threads have sums of the rows of their own; those of the same columns are added up
 *           by exchange between lanes, then in shared memory
 *
 * All in a fixed order. */
#ifndef GML_CODEGEN_LLVM_GPU_COLUMNS_H
#define GML_CODEGEN_LLVM_GPU_COLUMNS_H

#include "codegen/columns.h"
#include "codegen/llvm/gpu.h"
#include "codegen/llvm/gpu_gemm.h"

/* ---- a flat nest whose rows are cut into runs ---------------------------------------------
 */

/* How many runs of rows; 0: the nest is none that can be cut so. */
int64_t gml_gpu_columns_parts(const gml_gpu_nest *nest, const gml_columns *columns);
/* Units: a vector of columns in a run of rows. */
int64_t gml_gpu_columns_units(const gml_gpu_nest *nest, const gml_columns *columns);
/* Stores and sums what belongs to the units `begin`, `begin` + `step`, …. */
void gml_gpu_columns_emit(gml_emit *e, const gml_gpu_nest *nest, const gml_columns *columns,
                          LLVMValueRef begin, LLVMValueRef step);

/* ---- a list whose rows are units of blocks ------------------------------------------------
 */

/* How many blocks take the rows; 0: it is no such list. */
int64_t gml_gpu_columns_blocks(gml_kernel *kernel, const gml_gpu_nest *nest,
                               const gml_columns *columns);
/* Bytes of shared memory behind the partial sums. */
unsigned gml_gpu_columns_shared(const gml_columns *columns);
/* Before and after all units of a block. */
void gml_gpu_columns_begin(gml_emit *e, const gml_columns *columns);
void gml_gpu_columns_end(gml_emit *e, LLVMValueRef block);
/* The store of a sum, of e->lanes columns. */
void gml_gpu_columns_add(gml_emit *e, const gml_stmt *store);

/* ---- a tile of a product ------------------------------------------------------------------
 */

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
