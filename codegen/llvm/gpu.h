/* codegen/llvm/gpu.h - kernels for a GPU, and for its emulator. Private to codegen/llvm.
 *
 * A phase's units are dealt out in one of three ways:
 *   flat    a unit is an element, or a vector of up to 16 bytes, of what is stored; each thread
 *           does one, reductions and all (those along which neighbours of the output lie apart:
 *           sums of columns)
 *   block   a unit is a value of the loops around a list of statements, or around a reduction
 *           along memory; a block's threads do it as a team: loops inside are dealt out,
 *           scalars are computed by all
 *   tile    a unit is a tile of a matrix product (gpu_gemm.h)
 *
 * No atomics, and no order that depends on time: results are the same bits every time.
 */
#ifndef GML_CODEGEN_LLVM_GPU_H
#define GML_CODEGEN_LLVM_GPU_H

#include "codegen/llvm/emit.h"

/* As gml_emit_kernel. */
gml_status gml_gpu_emit_kernel(gml_backend *be, gml_kernel *kernel, const char *symbol,
                               gml_code *out_code, gml_diags *diags);

/* ---- who does what (gpu_nest.c); pure ---- */

/* The loops around a list of statements, outermost first. */
typedef struct gml_gpu_nest {
    const gml_axis *loops[GML_MAX_AXES];
    unsigned n_loops;
    const gml_stmt *body;
    bool is_flat;     /* else a team does the body */
    unsigned lanes;   /* flat: elements of the last loop at once, which divide it */
    unsigned threads; /* of a block */
} gml_gpu_nest;

gml_gpu_nest gml_gpu_find_nest(gml_kernel *kernel, const gml_stmt *stmt);
/* Whether a team of more than one should do a reduction; `inner` is the innermost loop around
 * it, or NULL. */
bool gml_gpu_wants_team(gml_kernel *kernel, const gml_expr *reduce, const gml_axis *inner);
/* Elements of the last axis of a team's reduction that a thread takes at once. */
unsigned gml_gpu_reduce_lanes(gml_kernel *kernel, const gml_expr *reduce);
/* Units of a flat nest: elements by lanes. */
gml_dim gml_gpu_units(gml_kernel *kernel, const gml_gpu_nest *nest);

/* Whether numbers below `units` have 31 bits, also when a block's threads are added. */
static inline bool gml_gpu_are_few(gml_dim units)
{
    return gml_dim_is_const(units) && units < (INT64_C(1) << 30);
}

/* ---- statements (gpu_list.c) ---- */

/* Units `begin`, `begin` + `step`, … of a flat nest, in this thread alone. */
void gml_gpu_emit_flat(gml_emit *e, const gml_gpu_nest *nest, LLVMValueRef begin,
                       LLVMValueRef step);
/* A list of statements by the team, with barriers behind those that need one. */
void gml_gpu_emit_list(gml_emit *e, const gml_stmt *list);
/* A statement by the team; the barrier behind it, if it needs one, is the caller's. */
void gml_gpu_emit_stmt(gml_emit *e, const gml_stmt *stmt);

#endif
