/* codegen/llvm/support.c - C functions of ours in code for a GPU. */
#include "codegen/llvm/support.h"

#include "codegen/device_code/device_code.h"
#include "codegen/llvm/kernel.h"

#include <llvm-c/BitReader.h>
#include <llvm-c/Linker.h>

#include <string.h>

static gml_loc here(void)
{
    return (gml_loc){.op = "code generation"};
}

static bool is_intrinsic(LLVMValueRef function)
{
    size_t len = 0;
    const char *name = LLVMGetValueName2(function, &len);
    return len > 5 && strncmp(name, "llvm.", 5) == 0;
}

/* A function that is called and has no body; NULL: there is none. */
static LLVMValueRef first_missing(LLVMModuleRef module)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
        if (LLVMIsDeclaration(f) && !is_intrinsic(f) && LLVMGetFirstUse(f))
            return f;
    return NULL;
}

/* What the compiler of the bitcode believed to know of the machine. */
static void forget_machine(LLVMValueRef function)
{
    static const char *const names[] = {"target-cpu", "target-features", "tune-cpu",
                                        "frame-pointer", "stack-protector-buffer-size"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        LLVMRemoveStringAttributeAtIndex(function,
                                         (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                         names[i], (unsigned)strlen(names[i]));
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b;
         b = LLVMGetNextBasicBlock(b))
        for (LLVMValueRef i = LLVMGetFirstInstruction(b); i; i = LLVMGetNextInstruction(i))
            if (LLVMIsACallInst(i))
                for (size_t k = 0; k < sizeof names / sizeof *names; k++)
                    LLVMRemoveCallSiteStringAttribute(
                        i, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, names[k],
                        (unsigned)strlen(names[k]));
}

static gml_status link_one(gml_backend *be, const gml_bitcode *code, gml_diags *diags)
{
    LLVMModuleRef module = NULL;
    LLVMMemoryBufferRef bytes = LLVMCreateMemoryBufferWithMemoryRange(
        (const char *)code->bytes, code->size, code->name, 0);
    if (LLVMParseBitcodeInContext2(be->context, bytes, &module)) {
        LLVMDisposeMemoryBuffer(bytes);
        return gml_fail(diags, GML_E_INTERNAL, here(), "the bitcode of %s is not readable",
                        code->name);
    }
    LLVMDisposeMemoryBuffer(bytes);
    LLVMSetTarget(module, LLVMGetTarget(be->module));
    LLVMSetModuleDataLayout(module, LLVMGetModuleDataLayout(be->module));
    for (LLVMValueRef f = LLVMGetFirstFunction(module); f; f = LLVMGetNextFunction(f))
        forget_machine(f);
    if (LLVMLinkModules2(be->module, module))
        return gml_fail(diags, GML_E_INTERNAL, here(), "%s cannot be linked", code->name);
    return GML_OK;
}

/* Nobody outside calls what was linked: what the kernels do not need is dropped. */
static void hide(gml_backend *be, unsigned kernel_call)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(be->module); f; f = LLVMGetNextFunction(f))
        if (!LLVMIsDeclaration(f) && LLVMGetFunctionCallConv(f) != kernel_call)
            LLVMSetLinkage(f, LLVMInternalLinkage);
}

/* What is no number type's ends the kernel: it cannot happen. */
static void define_bug(gml_backend *be)
{
    LLVMValueRef bug = LLVMGetNamedFunction(be->module, "gml_bug");
    if (!bug || !LLVMIsDeclaration(bug))
        return;
    LLVMBuilderRef b = LLVMCreateBuilderInContext(be->context);
    LLVMPositionBuilderAtEnd(b, LLVMAppendBasicBlockInContext(be->context, bug, "entry"));
    LLVMBuildUnreachable(b);
    LLVMDisposeBuilder(b);
}

gml_status gml_backend_link_support(gml_backend *be, gml_diags *diags)
{
    if (!first_missing(be->module))
        return GML_OK;
    for (const gml_bitcode *code = gml_device_bitcode; code->name; code++)
        GML_TRY(link_one(be, code, diags));
    define_bug(be);
    hide(be, GML_PTX_KERNEL_CALL);
    LLVMValueRef missing = first_missing(be->module);
    if (!missing)
        return GML_OK;
    size_t len = 0;
    gml_status status =
        gml_fail(diags, GML_E_UNSUPPORTED, here(), "a kernel calls %s, which no GPU has",
                 LLVMGetValueName2(missing, &len));
    if (!gml_device_bitcode->name)
        gml_note(diags, "gemel was built without clang, which makes such functions for GPUs");
    return status;
}

#define ROW(function)                                                                          \
    {                                                                                          \
#        function, (void (*)(void))(function)                                                  \
    }
#define X(name) ROW(gml_fn_##name), ROW(gml_fn_##name##f),

const gml_code_function *gml_device_functions(size_t *out_count)
{
    static const gml_code_function functions[] = {GML_DEVICE_FUNCTIONS(X) ROW(gml_fn_pow),
                                                  ROW(gml_fn_powf), ROW(gml_fn_fmod),
                                                  ROW(gml_fn_fmodf)};
    *out_count = sizeof functions / sizeof *functions;
    return functions;
}
