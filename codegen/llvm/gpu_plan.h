/* codegen/llvm/gpu_plan.h - what a kernel becomes on a GPU: phases, their steps, where locals
 * live. Private to codegen/llvm; gpu.h says who does what.
 *
 * gpu_plan.c makes the plan, gpu_function.c the functions' frames, gpu.c what is in them. */
#ifndef GML_CODEGEN_LLVM_GPU_PLAN_H
#define GML_CODEGEN_LLVM_GPU_PLAN_H

#include "codegen/llvm/gpu.h"
#include "codegen/llvm/gpu_gemm.h"
#include "codegen/llvm/homes.h"

/* Blocks that have room of their own in device memory. */
#define GML_ROOMY_BLOCKS 264

/* One statement of a unit, or a product. */
typedef struct gml_gpu_step {
    const gml_stmt *stmt;
    gml_gpu_gemm *gemm;
} gml_gpu_step;

typedef struct gml_gpu_work {
    gml_vec(gml_gpu_step) steps;
    const gml_axis *const
        *outer; /* of units that do all steps; NULL: one step, units its own */
    unsigned n_outer;
    const gml_columns *columns; /* of its only step, a nest; NULL: no sums of columns */
    bool is_block;              /* whose rows are units of blocks */
} gml_gpu_work;

typedef struct gml_gpu_plan {
    gml_emit *e;
    gml_homes homes;
    gml_vec(gml_gpu_work) works;
    unsigned shared;     /* bytes for products and partial sums, before the unit's own arrays */
    bool is_roomy;       /* the unit's own arrays are in device memory */
    unsigned room;       /* number of that temporary */
    int64_t room_blocks; /* that have a part of it, at most */
    LLVMValueRef block, n_blocks; /* i64: of this function's, or of the part's */
    unsigned n_maps;              /* of the function that is written */
} gml_gpu_plan;

/* Works, homes and the rest of `p`, whose `e` is set. */
void gml_gpu_plan_make(gml_gpu_plan *p);

/* ---- gpu_function.c ---- */

/* A function of `threads` a block, at most `blocks` of them on a processor (0: any), and of
 * `p->n_maps` tensor maps; memories, sizes, `block` and `n_blocks` are there. */
void gml_gpu_begin_function(gml_gpu_plan *p, const char *symbol, unsigned threads,
                            unsigned blocks);
/* The emulator's form of the function that was written last: its parameters out of a list of
 * pointers to them. */
void gml_gpu_write_lane(gml_gpu_plan *p, const char *symbol);
LLVMValueRef gml_gpu_map(gml_gpu_plan *p, unsigned number); /* a pointer to it */
LLVMValueRef gml_gpu_wide(gml_emit *e, LLVMValueRef i32);   /* i64 */

#endif
