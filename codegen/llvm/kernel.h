/* codegen/llvm/kernel.h - one kernel into an LLVM module. Private to codegen/llvm. */
#ifndef GML_CODEGEN_LLVM_KERNEL_H
#define GML_CODEGEN_LLVM_KERNEL_H

#include "codegen/llvm/emit.h"

#include <llvm-c/TargetMachine.h>

/* Writes the phases of `kernel` as functions symbol_0, symbol_1, …; `out_code` points into the
 * kernel's arena. */
gml_status gml_emit_kernel(gml_backend *be, gml_kernel *kernel, const char *symbol,
                           uint64_t constants, gml_code *out_code, gml_diags *diags);
/* A store under a short vector axis and the loop `serial` around it, written as squares of
 * lanes x lanes that exchange rows and columns; false where that is not its form, and nothing
 * is written. */
bool gml_emit_transposed(gml_emit *e, const gml_stmt *store, const gml_axis *axis,
                         const gml_axis *serial, unsigned lanes);
/* The attributes that every function gets: vector width, no unwinding. */
void gml_backend_mark_function(gml_backend *be, LLVMValueRef function);
/* The same of a function that a GPU launches in blocks of `threads`, of which a processor is to
 * have room for `blocks` (0: as it comes). */
void gml_backend_mark_gpu_kernel(gml_backend *be, LLVMValueRef function, unsigned threads,
                                 unsigned blocks);
/* Its last `n` parameters are tensor maps. */
void gml_backend_mark_maps(gml_backend *be, LLVMValueRef function, unsigned n);
/* A function that packs constants runs here, when compiling, whatever the others are for. */
void gml_backend_mark_ahead(gml_backend *be, LLVMValueRef function);
/* Sets vector_bytes and has_fma to what the machine has; the module knows its target. */
void gml_backend_probe(gml_backend *be, LLVMTargetMachineRef machine);

#endif
