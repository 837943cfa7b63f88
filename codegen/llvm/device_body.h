/* codegen/llvm/device_body.h - how a named device function is written. Private to device*.c.
 *
 * Each is an internal function of the module that is always inlined, written when it is first
 * called:
 *
 *     gml_dev_fn d = gml_dev_begin(e, "name", result, params, n_params, kind);
 *     if (d.b)
 *         gml_dev_end(&d, gml_dev_is_emulator(e) ? gml_dev_model(&d, …) :
 * gml_dev_intrinsic(…)); return gml_dev_call(&d, args, "what it is called in reports");
 */
#ifndef GML_CODEGEN_LLVM_DEVICE_BODY_H
#define GML_CODEGEN_LLVM_DEVICE_BODY_H

#include "codegen/llvm/device.h"

#define GML_SHARED_SPACE 3
#define GML_GLOBAL_SPACE 1
#define GML_DEV_PARAMS   144

/* A device function that is being written, or called. */
typedef struct gml_dev_fn {
    gml_emit *e;
    LLVMValueRef function;
    LLVMTypeRef type;
    LLVMBuilderRef b; /* in its body; NULL: that is written */
    LLVMValueRef params[GML_DEV_PARAMS];
    unsigned n_params; /* without the site */
    LLVMValueRef site; /* the emulator's */
} gml_dev_fn;

typedef enum gml_dev_kind {
    GML_DEV_PLAIN,
    GML_DEV_SITED, /* the emulator's reports name the call */
    GML_DEV_MEETS, /* the same, and several threads come to it */
} gml_dev_kind;

bool gml_dev_is_emulator(const gml_emit *e);
/* Counts a barrier or a wait; whether a test wants it left out. */
bool gml_dev_is_omitted(gml_emit *e);

/* Finds gml_dev_NAME or begins it. */
gml_dev_fn gml_dev_begin(gml_emit *e, const char *name, LLVMTypeRef result,
                         LLVMTypeRef const *params, unsigned n_params, gml_dev_kind kind);
void gml_dev_end(gml_dev_fn *d, LLVMValueRef result); /* NULL: it has none */
/* Calls it from the kernel; `what` it is called there, NULL where it has no site. */
LLVMValueRef gml_dev_call(const gml_dev_fn *d, LLVMValueRef const *args, const char *what);

/* ---- in a body ---- */

LLVMValueRef gml_dev_intrinsic(const gml_dev_fn *d, const char *name, LLVMTypeRef overload,
                               LLVMValueRef const *args, unsigned n_args);
/* A line of PTX, with the constraints of LLVM's inline assembly. Never moved or left out. */
LLVMValueRef gml_dev_assembly(const gml_dev_fn *d, LLVMTypeRef result, const char *text,
                              const char *constraints, LLVMValueRef const *args,
                              unsigned n_args);
/* Calls a C function of the emulator (runtime/emu_calls.h). */
LLVMValueRef gml_dev_model(const gml_dev_fn *d, const char *name, LLVMTypeRef result,
                           LLVMValueRef const *args, unsigned n_args);
LLVMValueRef gml_dev_to_space(const gml_dev_fn *d, LLVMValueRef pointer, unsigned space);
/* i32: where in the shared memory of its block a generic pointer leads; NVPTX only. */
LLVMValueRef gml_dev_shared_address(const gml_dev_fn *d, LLVMValueRef pointer);
/* Of the kernel: a pointer of any kind as a generic one. */
LLVMValueRef gml_dev_generic(gml_emit *e, LLVMValueRef pointer);

#endif
