/* codegen/llvm/device_body.c - functions of the module that stand for what a device can do. */
#include "codegen/llvm/device_body.h"

#include <stdio.h>
#include <string.h>

bool gml_dev_is_emulator(const gml_emit *e)
{
    return e->be->gpu == GML_GPU_EMU;
}

bool gml_dev_is_omitted(gml_emit *e)
{
    return ++e->be->n_meetings == e->be->omit;
}

static void set_attribute(gml_backend *be, LLVMValueRef function, const char *name,
                          uint64_t value)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(be->context, kind, value));
}

gml_dev_fn gml_dev_begin(gml_emit *e, const char *name, LLVMTypeRef result,
                         LLVMTypeRef const *params, unsigned n_params, gml_dev_kind kind)
{
    gml_dev_fn d = {.e = e, .n_params = n_params};
    LLVMTypeRef types[GML_DEV_PARAMS + 1];
    unsigned n_types = n_params;
    char symbol[64];
    snprintf(symbol, sizeof symbol, "gml_dev_%s", name);
    for (unsigned i = 0; i < n_params; i++)
        types[i] = params[i];
    if (kind != GML_DEV_PLAIN && gml_dev_is_emulator(e))
        types[n_types++] = e->be->ptr;
    d.type = LLVMFunctionType(result, types, n_types, 0);
    d.function = LLVMGetNamedFunction(e->be->module, symbol);
    if (d.function)
        return d;
    d.function = LLVMAddFunction(e->be->module, symbol, d.type);
    LLVMSetLinkage(d.function, LLVMInternalLinkage);
    set_attribute(e->be, d.function, "alwaysinline", 0);
    set_attribute(e->be, d.function, "nounwind", 0);
    if (kind == GML_DEV_MEETS)
        set_attribute(e->be, d.function, "convergent", 0);
    for (unsigned i = 0; i < n_params; i++)
        d.params[i] = LLVMGetParam(d.function, i);
    if (n_types > n_params)
        d.site = LLVMGetParam(d.function, n_params);
    d.b = LLVMCreateBuilderInContext(e->be->context);
    LLVMPositionBuilderAtEnd(
        d.b, LLVMAppendBasicBlockInContext(e->be->context, d.function, "entry"));
    return d;
}

void gml_dev_end(gml_dev_fn *d, LLVMValueRef result)
{
    if (result)
        LLVMBuildRet(d->b, result);
    else
        LLVMBuildRetVoid(d->b);
    LLVMDisposeBuilder(d->b);
    d->b = NULL;
}

/* The name of a call in reports, as a constant of the module. */
static LLVMValueRef site_of(gml_emit *e, const char *what)
{
    char text[256];
    size_t len = 0;
    const char *function = LLVMGetValueName2(e->function, &len);
    const char *more = e->site_text;
    snprintf(text, sizeof text, "%s %u of %s%s%s%s", what, ++e->n_sites, function,
             more ? " (" : "", more ? more : "", more ? ")" : "");
    return LLVMBuildGlobalStringPtr(e->b, text, "site");
}

LLVMValueRef gml_dev_call(const gml_dev_fn *d, LLVMValueRef const *args, const char *what)
{
    LLVMValueRef operands[GML_DEV_PARAMS + 1];
    unsigned n = d->n_params;
    for (unsigned i = 0; i < n; i++)
        operands[i] = args[i];
    if (what && gml_dev_is_emulator(d->e))
        operands[n++] = site_of(d->e, what);
    return LLVMBuildCall2(d->e->b, d->type, d->function, operands, n, "");
}

/* ---- bodies -------------------------------------------------------------------------------
 */

LLVMValueRef gml_dev_intrinsic(const gml_dev_fn *d, const char *name, LLVMTypeRef overload,
                               LLVMValueRef const *args, unsigned n_args)
{
    LLVMTypeRef overloads[1] = {overload};
    LLVMValueRef operands[GML_DEV_PARAMS];
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (id == 0)
        GML_BUG("LLVM does not know an intrinsic of NVPTX");
    for (unsigned i = 0; i < n_args; i++)
        operands[i] = args[i];
    LLVMValueRef callee =
        LLVMGetIntrinsicDeclaration(d->e->be->module, id, overloads, overload ? 1 : 0);
    LLVMTypeRef type = LLVMIntrinsicGetType(d->e->be->context, id, overloads, overload ? 1 : 0);
    return LLVMBuildCall2(d->b, type, callee, operands, n_args, "");
}

LLVMValueRef gml_dev_assembly(const gml_dev_fn *d, LLVMTypeRef result, const char *text,
                              const char *constraints, LLVMValueRef const *args,
                              unsigned n_args)
{
    LLVMTypeRef types[GML_DEV_PARAMS];
    LLVMValueRef operands[GML_DEV_PARAMS];
    for (unsigned i = 0; i < n_args; i++) {
        operands[i] = args[i];
        types[i] = LLVMTypeOf(args[i]);
    }
    LLVMTypeRef type = LLVMFunctionType(result, types, n_args, 0);
    LLVMValueRef code = LLVMGetInlineAsm(type, text, strlen(text), constraints,
                                         strlen(constraints), 1, 0, LLVMInlineAsmDialectATT, 0);
    LLVMValueRef call = LLVMBuildCall2(d->b, type, code, operands, n_args, "");
    unsigned kind = LLVMGetEnumAttributeKindForName("convergent", 10);
    LLVMAddCallSiteAttribute(call, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                             LLVMCreateEnumAttribute(d->e->be->context, kind, 0));
    return call;
}

LLVMValueRef gml_dev_model(const gml_dev_fn *d, const char *name, LLVMTypeRef result,
                           LLVMValueRef const *args, unsigned n_args)
{
    gml_backend *be = d->e->be;
    LLVMTypeRef types[GML_DEV_PARAMS];
    LLVMValueRef operands[GML_DEV_PARAMS];
    for (unsigned i = 0; i < n_args; i++) {
        operands[i] = args[i];
        types[i] = LLVMTypeOf(args[i]);
    }
    LLVMTypeRef type = LLVMFunctionType(result, types, n_args, 0);
    LLVMValueRef callee = LLVMGetNamedFunction(be->module, name);
    if (!callee) {
        callee = LLVMAddFunction(be->module, name, type);
        set_attribute(be, callee, "nounwind", 0);
        if (n_args == 0) { /* the same all along a thread */
            set_attribute(be, callee, "memory", 0);
            set_attribute(be, callee, "willreturn", 0);
        }
    }
    return LLVMBuildCall2(d->b, type, callee, operands, n_args, "");
}

LLVMValueRef gml_dev_to_space(const gml_dev_fn *d, LLVMValueRef pointer, unsigned space)
{
    return LLVMBuildAddrSpaceCast(d->b, pointer,
                                  LLVMPointerTypeInContext(d->e->be->context, space), "");
}

LLVMValueRef gml_dev_shared_address(const gml_dev_fn *d, LLVMValueRef pointer)
{
    return LLVMBuildPtrToInt(d->b, gml_dev_to_space(d, pointer, GML_SHARED_SPACE),
                             d->e->be->i32, "");
}

LLVMValueRef gml_dev_generic(gml_emit *e, LLVMValueRef pointer)
{
    if (LLVMGetPointerAddressSpace(LLVMTypeOf(pointer)) == 0)
        return pointer;
    return LLVMBuildAddrSpaceCast(e->b, pointer, e->be->ptr, "");
}
