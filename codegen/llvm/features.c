/* codegen/llvm/features.c - what a processor can do, asked of LLVM.
 *
 * LLVM's C interface creates a machine for a name but does not say what that machine has. So a
 * function is compiled for it and the instructions are looked at. */
#include "codegen/llvm/kernel.h"

#include <llvm-c/TargetMachine.h>

#include <string.h>

static LLVMTypeRef floats(const gml_backend *be, unsigned lanes)
{
    return LLVMVectorType(be->f32, lanes);
}

/* void probe(ptr, ptr): a fused multiply-add of 16 floats, a product of 8 integers of 64 bits,
 * and a masked load of 8 floats: the last two are what AVX-512 DQ and VL add. */
static void write_probe(gml_emit *e)
{
    gml_backend *be = e->be;
    LLVMTypeRef params[2] = {be->ptr, be->ptr};
    e->function =
        LLVMAddFunction(be->module, "probe", LLVMFunctionType(be->none, params, 2, 0));
    gml_backend_mark_function(be, e->function);
    LLVMPositionBuilderAtEnd(e->b,
                             LLVMAppendBasicBlockInContext(be->context, e->function, "entry"));
    LLVMValueRef p = LLVMGetParam(e->function, 0);
    LLVMValueRef q = LLVMGetParam(e->function, 1);
    LLVMValueRef x = LLVMBuildLoad2(e->b, floats(be, 16), p, "");
    LLVMValueRef y = LLVMBuildLoad2(e->b, floats(be, 16), q, "");
    LLVMTypeRef type = floats(be, 16);
    LLVMValueRef three[3] = {x, y, x};
    LLVMBuildStore(e->b, gml_ll_intrinsic(e, "llvm.fma", &type, 1, three, 3), p);
    LLVMTypeRef longs = LLVMVectorType(be->i64, 8);
    LLVMValueRef a = LLVMBuildLoad2(e->b, longs, p, "");
    LLVMValueRef b = LLVMBuildLoad2(e->b, longs, q, "");
    LLVMBuildStore(e->b, LLVMBuildMul(e->b, a, b, ""), q);
    LLVMValueRef half = LLVMBuildLoad2(e->b, floats(be, 8), p, "");
    LLVMValueRef mask =
        LLVMBuildFCmp(e->b, LLVMRealOGT, half, LLVMConstNull(floats(be, 8)), "");
    LLVMTypeRef types[2] = {floats(be, 8), be->ptr};
    LLVMValueRef args[4] = {q, LLVMConstInt(be->i32, 4, 0), mask, half};
    LLVMBuildStore(e->b, gml_ll_intrinsic(e, "llvm.masked.load", types, 2, args, 4), p);
    LLVMBuildRetVoid(e->b);
}

void gml_backend_probe(gml_backend *be, LLVMTargetMachineRef machine)
{
    if (be->gpu == GML_GPU_CUDA) {
        be->vector_bytes = 16;
        be->has_fma = true;
        return;
    }
    gml_backend own = *be;
    own.vector_bytes = 64; /* as far as the attributes of the function go */
    own.has_fma = true;
    own.module = LLVMModuleCreateWithNameInContext("probe", be->context);
    LLVMSetTarget(own.module, LLVMGetTarget(be->module));
    LLVMSetModuleDataLayout(own.module, LLVMGetModuleDataLayout(be->module));
    gml_emit e = {.be = &own, .b = LLVMCreateBuilderInContext(be->context)};
    write_probe(&e);
    LLVMDisposeBuilder(e.b);
    LLVMMemoryBufferRef text = NULL;
    char *error = NULL;
    be->vector_bytes = 16;
    be->has_fma = false;
    if (LLVMTargetMachineEmitToMemoryBuffer(machine, own.module, LLVMAssemblyFile, &error,
                                            &text)) {
        LLVMDisposeMessage(error);
        LLVMDisposeModule(own.module);
        return;
    }
    const char *code = LLVMGetBufferStart(text);
    bool fused = strstr(code, "vfmadd") || strstr(code, "fmla");
    bool avx512 = strstr(code, "%zmm") && strstr(code, "vpmullq") && !strstr(code, "vmaskmov");
    be->has_fma = fused;
    if (avx512)
        be->vector_bytes = 64;
    else if (strstr(code, "%ymm") && fused)
        be->vector_bytes = 32;
    LLVMDisposeMemoryBuffer(text);
    LLVMDisposeModule(own.module);
}
