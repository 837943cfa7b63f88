/* codegen/llvm/gpu_cost.h - what a phase on a GPU moves and does (base/cost.h). Private to
 * codegen/llvm.
 *
 * A phase's statements and products are read off one after the other; then the meter says what
 * they come to. Where a memory is reached in several ways, elements that two of them touch
 * count once as far as that can be seen: by the range of each index and by the extents of its
 * axes. */
#ifndef GML_CODEGEN_LLVM_GPU_COST_H
#define GML_CODEGEN_LLVM_GPU_COST_H

#include "base/cost.h"
#include "codegen/llvm/gpu_gemm.h"
#include "codegen/llvm/homes.h"

#define GML_NO_ROOM UINT32_MAX

typedef struct gml_meter {
    gml_kernel *kernel;
    const gml_homes *homes;
    uint32_t
        room; /* the temporary that has the units' own arrays; GML_NO_ROOM: shared memory */
    const gml_axis *const *outer; /* loops around all that is read */
    unsigned n_outer;
    gml_vec(struct gml_reach) reaches; /* by memory */
    size_t n_closed;                   /* of statements before this one */
    bool *seen;                        /* by expression, of this statement */
    gml_dim mma, flops;
    bool computes; /* something is stored that is not just loaded */
} gml_meter;

/* A statement by itself, with what is inside. */
void gml_meter_read(gml_meter *meter, const gml_stmt *stmt);
void gml_meter_read_product(gml_meter *meter, const gml_gpu_gemm *gemm);
/* What sums of columns need beside what their writer reads. */
void gml_meter_read_sums(gml_meter *meter, const gml_columns *columns);
gml_cost gml_meter_total(gml_meter *meter);

#endif
