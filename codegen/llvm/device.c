/* codegen/llvm/device.c - the named device functions, for NVPTX and for the emulator.
 *
 * Each is an internal function of the module that is always inlined, written when it is first
 * called. Shared addresses are generic pointers everywhere; NVPTX finds out what they are once
 * the functions are inlined. */
#include "codegen/llvm/device.h"

#include <stdio.h>
#include <string.h>

#define SHARED_SPACE 3
#define GLOBAL_SPACE 1
#define MAX_PARAMS   12

/* A device function that is being written, or called. */
typedef struct device {
    gml_emit *e;
    LLVMValueRef function;
    LLVMTypeRef type;
    LLVMBuilderRef b; /* in its body; NULL: that is written */
    LLVMValueRef params[MAX_PARAMS];
    unsigned n_params; /* without the site */
    LLVMValueRef site; /* the emulator's */
} device;

typedef enum sited { PLAIN, SITED } sited;

static bool is_emulator(const gml_emit *e)
{
    return e->be->gpu == GML_GPU_EMU;
}

static void set_attribute(gml_backend *be, LLVMValueRef function, const char *name,
                          uint64_t value)
{
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(be->context, kind, value));
}

/* Finds gml_dev_NAME or begins it. `meets`: several threads come to it. */
static device begin(gml_emit *e, const char *name, LLVMTypeRef result,
                    LLVMTypeRef const *params, unsigned n_params, bool meets, sited sites)
{
    device d = {.e = e, .n_params = n_params};
    LLVMTypeRef types[MAX_PARAMS];
    unsigned n_types = n_params;
    char symbol[64];
    snprintf(symbol, sizeof symbol, "gml_dev_%s", name);
    for (unsigned i = 0; i < n_params; i++)
        types[i] = params[i];
    if (sites == SITED && is_emulator(e))
        types[n_types++] = e->be->ptr;
    d.type = LLVMFunctionType(result, types, n_types, 0);
    d.function = LLVMGetNamedFunction(e->be->module, symbol);
    if (d.function)
        return d;
    d.function = LLVMAddFunction(e->be->module, symbol, d.type);
    LLVMSetLinkage(d.function, LLVMInternalLinkage);
    set_attribute(e->be, d.function, "alwaysinline", 0);
    set_attribute(e->be, d.function, "nounwind", 0);
    if (meets)
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

static void end(device *d, LLVMValueRef result)
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

/* Calls it from the kernel; `what` it is called there, NULL where it has no site. */
static LLVMValueRef call(const device *d, LLVMValueRef const *args, const char *what)
{
    LLVMValueRef operands[MAX_PARAMS];
    unsigned n = d->n_params;
    for (unsigned i = 0; i < n; i++)
        operands[i] = args[i];
    if (what && is_emulator(d->e))
        operands[n++] = site_of(d->e, what);
    return LLVMBuildCall2(d->e->b, d->type, d->function, operands, n, "");
}

/* ---- bodies -------------------------------------------------------------------------------
 */

static LLVMValueRef intrinsic(const device *d, const char *name, LLVMTypeRef overload,
                              LLVMValueRef const *args, unsigned n_args)
{
    LLVMTypeRef overloads[1] = {overload};
    LLVMValueRef operands[MAX_PARAMS];
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

/* Calls a C function of the emulator (runtime/emu_calls.h). */
static LLVMValueRef model(const device *d, const char *name, LLVMTypeRef result,
                          LLVMValueRef const *args, unsigned n_args)
{
    gml_backend *be = d->e->be;
    LLVMTypeRef types[MAX_PARAMS];
    LLVMValueRef operands[MAX_PARAMS];
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

static LLVMValueRef to_space(const device *d, LLVMValueRef pointer, unsigned space)
{
    return LLVMBuildAddrSpaceCast(d->b, pointer,
                                  LLVMPointerTypeInContext(d->e->be->context, space), "");
}

static LLVMValueRef generic(gml_emit *e, LLVMValueRef pointer)
{
    if (LLVMGetPointerAddressSpace(LLVMTypeOf(pointer)) == 0)
        return pointer;
    return LLVMBuildAddrSpaceCast(e->b, pointer, e->be->ptr, "");
}

/* ---- indices ------------------------------------------------------------------------------
 */

static LLVMValueRef index_of(gml_emit *e, const char *name, const char *on_gpu,
                             const char *emulated)
{
    device d = begin(e, name, e->be->i32, NULL, 0, false, PLAIN);
    if (d.b)
        end(&d, is_emulator(e) ? model(&d, emulated, e->be->i32, NULL, 0)
                               : intrinsic(&d, on_gpu, NULL, NULL, 0));
    return call(&d, NULL, NULL);
}

LLVMValueRef gml_dev_thread(gml_emit *e)
{
    return index_of(e, "thread", "llvm.nvvm.read.ptx.sreg.tid.x", "gml_emu_thread");
}

LLVMValueRef gml_dev_block(gml_emit *e)
{
    return index_of(e, "block", "llvm.nvvm.read.ptx.sreg.ctaid.x", "gml_emu_block");
}

LLVMValueRef gml_dev_blocks(gml_emit *e)
{
    return index_of(e, "blocks", "llvm.nvvm.read.ptx.sreg.nctaid.x", "gml_emu_blocks");
}

LLVMValueRef gml_dev_shared(gml_emit *e)
{
    if (is_emulator(e)) {
        device d = begin(e, "shared", e->be->ptr, NULL, 0, false, PLAIN);
        if (d.b)
            end(&d, model(&d, "gml_emu_shared", e->be->ptr, NULL, 0));
        return call(&d, NULL, NULL);
    }
    LLVMValueRef memory = LLVMGetNamedGlobal(e->be->module, "gml_shared");
    if (!memory) {
        memory = LLVMAddGlobalInAddressSpace(e->be->module, LLVMArrayType2(e->be->i8, 0),
                                             "gml_shared", SHARED_SPACE);
        LLVMSetAlignment(memory, 128);
    }
    return LLVMConstAddrSpaceCast(memory, e->be->ptr);
}

/* ---- where threads meet -------------------------------------------------------------------
 */

/* Counts a barrier or a wait; whether a test wants it left out. */
static bool is_omitted(gml_emit *e)
{
    return ++e->be->n_meetings == e->be->omit;
}

void gml_dev_barrier(gml_emit *e)
{
    if (is_omitted(e))
        return;
    device d = begin(e, "barrier", e->be->none, NULL, 0, true, SITED);
    if (d.b) {
        if (is_emulator(e))
            model(&d, "gml_emu_barrier", e->be->none, &d.site, 1);
        else
            intrinsic(&d, "llvm.nvvm.barrier0", NULL, NULL, 0);
        end(&d, NULL);
    }
    call(&d, NULL, "barrier");
}

static LLVMValueRef shuffle_32(const device *d, LLVMValueRef bits)
{
    LLVMValueRef all = LLVMConstInt(d->e->be->i32, UINT32_MAX, 0);
    LLVMValueRef last = LLVMConstInt(d->e->be->i32, 31, 0);
    LLVMValueRef args[4] = {all, bits, d->params[1], last};
    return intrinsic(d, "llvm.nvvm.shfl.sync.bfly.i32", NULL, args, 4);
}

static LLVMValueRef shuffle_body(const device *d, bool wide)
{
    gml_backend *be = d->e->be;
    LLVMValueRef bits = d->params[0];
    if (is_emulator(d->e)) {
        LLVMValueRef args[3] = {LLVMBuildZExt(d->b, bits, be->i64, ""), d->params[1], d->site};
        LLVMValueRef got = model(d, "gml_emu_shuffle_xor", be->i64, args, 3);
        return LLVMBuildTrunc(d->b, got, wide ? be->i64 : be->i32, "");
    }
    if (!wide)
        return shuffle_32(d, bits);
    LLVMValueRef half = LLVMConstInt(be->i64, 32, 0);
    LLVMValueRef high = LLVMBuildLShr(d->b, bits, half, "");
    LLVMValueRef a = shuffle_32(d, LLVMBuildTrunc(d->b, bits, be->i32, ""));
    LLVMValueRef b = shuffle_32(d, LLVMBuildTrunc(d->b, high, be->i32, ""));
    b = LLVMBuildShl(d->b, LLVMBuildZExt(d->b, b, be->i64, ""), half, "");
    return LLVMBuildOr(d->b, LLVMBuildZExt(d->b, a, be->i64, ""), b, "");
}

LLVMValueRef gml_dev_shuffle_xor(gml_emit *e, LLVMValueRef value, unsigned mask)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    bool wide = type == e->be->i64 || type == e->be->f64;
    LLVMTypeRef bits = wide ? e->be->i64 : e->be->i32;
    LLVMTypeRef params[2] = {bits, e->be->i32};
    device d =
        begin(e, wide ? "shuffle_xor_64" : "shuffle_xor_32", bits, params, 2, true, SITED);
    if (d.b)
        end(&d, shuffle_body(&d, wide));
    LLVMValueRef args[2] = {LLVMBuildBitCast(e->b, value, bits, ""),
                            LLVMConstInt(e->be->i32, mask, 0)};
    return LLVMBuildBitCast(e->b, call(&d, args, "shuffle"), type, "");
}

/* ---- tensor cores -------------------------------------------------------------------------
 */

static LLVMTypeRef four_of(gml_backend *be, LLVMTypeRef type)
{
    LLVMTypeRef types[4] = {type, type, type, type};
    return LLVMStructTypeInContext(be->context, types, 4, 0);
}

static void take_four(gml_emit *e, LLVMValueRef four, LLVMValueRef *d)
{
    for (unsigned i = 0; i < 4; i++)
        d[i] = LLVMBuildExtractValue(e->b, four, i, "");
}

static LLVMValueRef word_at(const device *d, LLVMValueRef words, unsigned i)
{
    LLVMValueRef index = LLVMConstInt(d->e->be->i32, i, 0);
    return LLVMBuildInBoundsGEP2(d->b, d->e->be->i32, words, &index, 1, "");
}

/* What a model left in four words from `first` on. */
static LLVMValueRef load_four(const device *d, LLVMTypeRef type, LLVMValueRef words,
                              unsigned first)
{
    LLVMValueRef four = LLVMGetPoison(four_of(d->e->be, type));
    for (unsigned i = 0; i < 4; i++) {
        LLVMValueRef one = LLVMBuildLoad2(d->b, type, word_at(d, words, first + i), "");
        four = LLVMBuildInsertValue(d->b, four, one, i, "");
    }
    return four;
}

static LLVMValueRef words_of(const device *d, unsigned n)
{
    return LLVMBuildAlloca(d->b, LLVMArrayType2(d->e->be->i32, n), "");
}

static void emit_mma(gml_emit *e, const char *const names[3], LLVMValueRef const *a,
                     LLVMValueRef const *b, LLVMValueRef const *c, LLVMValueRef *out)
{
    LLVMTypeRef params[10];
    LLVMValueRef args[10];
    for (unsigned i = 0; i < 10; i++) {
        params[i] = i < 6 ? e->be->i32 : e->be->f32;
        args[i] = i < 4 ? a[i] : i < 6 ? b[i - 4] : c[i - 6];
    }
    device d = begin(e, names[0], four_of(e->be, e->be->f32), params, 10, true, SITED);
    if (d.b && is_emulator(e)) {
        LLVMValueRef words = words_of(&d, 10);
        for (unsigned i = 0; i < 10; i++)
            LLVMBuildStore(d.b, d.params[i], word_at(&d, words, i));
        LLVMValueRef pair[2] = {words, d.site};
        model(&d, names[2], e->be->none, pair, 2);
        end(&d, load_four(&d, e->be->f32, words, 6));
    } else if (d.b) {
        end(&d, intrinsic(&d, names[1], NULL, d.params, 10));
    }
    take_four(e, call(&d, args, "mma"), out);
}

void gml_dev_mma_bf16(gml_emit *e, LLVMValueRef const *a, LLVMValueRef const *b,
                      LLVMValueRef const *c, LLVMValueRef *d)
{
    static const char *const names[3] = {"mma_bf16", "llvm.nvvm.mma.m16n8k16.row.col.bf16",
                                         "gml_emu_mma_bf16"};
    emit_mma(e, names, a, b, c, d);
}

void gml_dev_mma_tf32(gml_emit *e, LLVMValueRef const *a, LLVMValueRef const *b,
                      LLVMValueRef const *c, LLVMValueRef *d)
{
    static const char *const names[3] = {"mma_tf32", "llvm.nvvm.mma.m16n8k8.row.col.tf32",
                                         "gml_emu_mma_tf32"};
    emit_mma(e, names, a, b, c, d);
}

void gml_dev_load_matrix(gml_emit *e, LLVMValueRef address, bool transposed, LLVMValueRef *out)
{
    device d = begin(e, transposed ? "load_matrix_transposed" : "load_matrix",
                     four_of(e->be, e->be->i32), &e->be->ptr, 1, true, SITED);
    if (d.b && is_emulator(e)) {
        LLVMValueRef words = words_of(&d, 4);
        LLVMValueRef args[4] = {d.params[0], LLVMConstInt(e->be->i32, transposed, 0), words,
                                d.site};
        model(&d, "gml_emu_load_matrix", e->be->none, args, 4);
        end(&d, load_four(&d, e->be->i32, words, 0));
    } else if (d.b) {
        LLVMValueRef at = to_space(&d, d.params[0], SHARED_SPACE);
        end(&d, intrinsic(&d,
                          transposed ? "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16"
                                     : "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16",
                          LLVMTypeOf(at), &at, 1));
    }
    LLVMValueRef arg = generic(e, address);
    take_four(e, call(&d, &arg, "matrix load"), out);
}

/* ---- asynchronous copies ------------------------------------------------------------------
 */

/* Of 16 bytes, so many are read; the rest are zeros. LLVM's intrinsic has no such form. */
static void copy_body(const device *d)
{
    static const char text[] = "cp.async.cg.shared.global [$0], [$1], 16, $2;";
    static const char constraints[] = "r,l,r,~{memory}";
    gml_backend *be = d->e->be;
    LLVMTypeRef types[3] = {be->i32, be->i64, be->i32};
    LLVMTypeRef type = LLVMFunctionType(be->none, types, 3, 0);
    LLVMValueRef code =
        LLVMGetInlineAsm(type, text, sizeof text - 1, constraints, sizeof constraints - 1, 1, 0,
                         LLVMInlineAsmDialectATT, 0);
    LLVMValueRef to = to_space(d, d->params[0], SHARED_SPACE);
    LLVMValueRef from = to_space(d, d->params[1], GLOBAL_SPACE);
    LLVMValueRef args[3] = {LLVMBuildPtrToInt(d->b, to, be->i32, ""),
                            LLVMBuildPtrToInt(d->b, from, be->i64, ""),
                            LLVMBuildSelect(d->b, d->params[2], LLVMConstInt(be->i32, 16, 0),
                                            LLVMConstInt(be->i32, 0, 0), "")};
    LLVMBuildCall2(d->b, type, code, args, 3, "");
}

void gml_dev_copy_async(gml_emit *e, LLVMValueRef shared, LLVMValueRef from, LLVMValueRef valid)
{
    LLVMTypeRef params[3] = {e->be->ptr, e->be->ptr, e->be->i1};
    device d = begin(e, "copy_async", e->be->none, params, 3, false, SITED);
    if (d.b) {
        LLVMValueRef args[4] = {d.params[0], d.params[1],
                                LLVMBuildZExt(d.b, d.params[2], e->be->i32, ""), d.site};
        if (is_emulator(e))
            model(&d, "gml_emu_copy_async", e->be->none, args, 4);
        else
            copy_body(&d);
        end(&d, NULL);
    }
    LLVMValueRef args[3] = {generic(e, shared), generic(e, from), valid};
    call(&d, args, "asynchronous copy");
}

void gml_dev_copy_commit(gml_emit *e)
{
    device d = begin(e, "copy_commit", e->be->none, NULL, 0, false, SITED);
    if (d.b) {
        if (is_emulator(e))
            model(&d, "gml_emu_copy_commit", e->be->none, &d.site, 1);
        else
            intrinsic(&d, "llvm.nvvm.cp.async.commit.group", NULL, NULL, 0);
        end(&d, NULL);
    }
    call(&d, NULL, "commit");
}

void gml_dev_copy_wait(gml_emit *e, unsigned pending)
{
    char name[32]; /* the number is part of the instruction */
    if (is_omitted(e))
        return;
    snprintf(name, sizeof name, "copy_wait_%u", pending);
    device d = begin(e, name, e->be->none, NULL, 0, false, SITED);
    if (d.b) {
        LLVMValueRef args[2] = {LLVMConstInt(e->be->i32, pending, 0), d.site};
        if (is_emulator(e))
            model(&d, "gml_emu_copy_wait", e->be->none, args, 2);
        else
            intrinsic(&d, "llvm.nvvm.cp.async.wait.group", NULL, args, 1);
        end(&d, NULL);
    }
    call(&d, NULL, "copy wait");
}
