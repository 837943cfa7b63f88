/* codegen/llvm/gpu_order.h - which accesses of a block's threads need a barrier between.
 * Private to codegen/llvm.
 *
 * Of interest are locals that one thread of a block stores and others load (`meets` of the
 * emitter). A barrier is due before what loads such a local that was stored, or stores one that
 * was stored or loaded, since the last barrier. */
#ifndef GML_CODEGEN_LLVM_GPU_ORDER_H
#define GML_CODEGEN_LLVM_GPU_ORDER_H

#include "codegen/llvm/emit.h"

typedef struct gml_gpu_accesses {
    bool *loads, *stores; /* by local */
} gml_gpu_accesses;

gml_gpu_accesses gml_gpu_accesses_make(const gml_emit *e); /* none; in the kernel's arena */
void gml_gpu_accesses_clear(const gml_emit *e, gml_gpu_accesses *a);
void gml_gpu_accesses_add_loads(const gml_emit *e, gml_gpu_accesses *a, const gml_expr *expr);
/* Of a statement with all inside, not those after it. */
void gml_gpu_accesses_add(const gml_emit *e, gml_gpu_accesses *a, const gml_stmt *stmt);
/* Whether what comes `after` must wait for all threads to have done what was `before`. */
bool gml_gpu_accesses_meet(const gml_emit *e, const gml_gpu_accesses *before,
                           const gml_gpu_accesses *after);
bool gml_gpu_accesses_any(const gml_emit *e, const gml_gpu_accesses *a);

#endif
