/* codegen/llvm/device.c - the named device functions that every GPU has, and the emulator.
 *
 * Shared addresses are generic pointers everywhere; NVPTX finds out what they are once the
 * functions are inlined. */
#include "codegen/llvm/device_body.h"

#include <stdio.h>

/* ---- indices ------------------------------------------------------------------------------
 */

static LLVMValueRef index_of(gml_emit *e, const char *name, const char *on_gpu,
                             const char *emulated)
{
    gml_dev_fn d = gml_dev_begin(e, name, e->be->i32, NULL, 0, GML_DEV_PLAIN);
    if (d.b)
        gml_dev_end(&d, gml_dev_is_emulator(e)
                            ? gml_dev_model(&d, emulated, e->be->i32, NULL, 0)
                            : gml_dev_intrinsic(&d, on_gpu, NULL, NULL, 0));
    return gml_dev_call(&d, NULL, NULL);
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
    if (gml_dev_is_emulator(e)) {
        gml_dev_fn d = gml_dev_begin(e, "shared", e->be->ptr, NULL, 0, GML_DEV_PLAIN);
        if (d.b)
            gml_dev_end(&d, gml_dev_model(&d, "gml_emu_shared", e->be->ptr, NULL, 0));
        return gml_dev_call(&d, NULL, NULL);
    }
    LLVMValueRef memory = LLVMGetNamedGlobal(e->be->module, "gml_shared");
    if (!memory) {
        memory = LLVMAddGlobalInAddressSpace(e->be->module, LLVMArrayType2(e->be->i8, 0),
                                             "gml_shared", GML_SHARED_SPACE);
        LLVMSetAlignment(memory, 1024);
    }
    return LLVMConstAddrSpaceCast(memory, e->be->ptr);
}

/* ---- where threads meet -------------------------------------------------------------------
 */

void gml_dev_barrier(gml_emit *e)
{
    if (gml_dev_is_omitted(e))
        return;
    gml_dev_fn d = gml_dev_begin(e, "barrier", e->be->none, NULL, 0, GML_DEV_MEETS);
    if (d.b) {
        if (gml_dev_is_emulator(e))
            gml_dev_model(&d, "gml_emu_barrier", e->be->none, &d.site, 1);
        else
            gml_dev_intrinsic(&d, "llvm.nvvm.barrier0", NULL, NULL, 0);
        gml_dev_end(&d, NULL);
    }
    gml_dev_call(&d, NULL, "barrier");
}

static LLVMValueRef shuffle_32(const gml_dev_fn *d, LLVMValueRef bits)
{
    LLVMValueRef all = LLVMConstInt(d->e->be->i32, UINT32_MAX, 0);
    LLVMValueRef last = LLVMConstInt(d->e->be->i32, 31, 0);
    LLVMValueRef args[4] = {all, bits, d->params[1], last};
    return gml_dev_intrinsic(d, "llvm.nvvm.shfl.sync.bfly.i32", NULL, args, 4);
}

static LLVMValueRef shuffle_body(const gml_dev_fn *d, bool wide)
{
    gml_backend *be = d->e->be;
    LLVMValueRef bits = d->params[0];
    if (gml_dev_is_emulator(d->e)) {
        LLVMValueRef args[3] = {LLVMBuildZExt(d->b, bits, be->i64, ""), d->params[1], d->site};
        LLVMValueRef got = gml_dev_model(d, "gml_emu_shuffle_xor", be->i64, args, 3);
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
    gml_dev_fn d = gml_dev_begin(e, wide ? "shuffle_xor_64" : "shuffle_xor_32", bits, params, 2,
                                 GML_DEV_MEETS);
    if (d.b)
        gml_dev_end(&d, shuffle_body(&d, wide));
    LLVMValueRef args[2] = {LLVMBuildBitCast(e->b, value, bits, ""),
                            LLVMConstInt(e->be->i32, mask, 0)};
    return LLVMBuildBitCast(e->b, gml_dev_call(&d, args, "shuffle"), type, "");
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

static LLVMValueRef word_at(const gml_dev_fn *d, LLVMValueRef words, unsigned i)
{
    LLVMValueRef index = LLVMConstInt(d->e->be->i32, i, 0);
    return LLVMBuildInBoundsGEP2(d->b, d->e->be->i32, words, &index, 1, "");
}

/* What a model left in four words from `first` on. */
static LLVMValueRef load_four(const gml_dev_fn *d, LLVMTypeRef type, LLVMValueRef words,
                              unsigned first)
{
    LLVMValueRef four = LLVMGetPoison(four_of(d->e->be, type));
    for (unsigned i = 0; i < 4; i++) {
        LLVMValueRef one = LLVMBuildLoad2(d->b, type, word_at(d, words, first + i), "");
        four = LLVMBuildInsertValue(d->b, four, one, i, "");
    }
    return four;
}

static LLVMValueRef words_of(const gml_dev_fn *d, unsigned n)
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
    gml_dev_fn d =
        gml_dev_begin(e, names[0], four_of(e->be, e->be->f32), params, 10, GML_DEV_MEETS);
    if (d.b && gml_dev_is_emulator(e)) {
        LLVMValueRef words = words_of(&d, 10);
        for (unsigned i = 0; i < 10; i++)
            LLVMBuildStore(d.b, d.params[i], word_at(&d, words, i));
        LLVMValueRef pair[2] = {words, d.site};
        gml_dev_model(&d, names[2], e->be->none, pair, 2);
        gml_dev_end(&d, load_four(&d, e->be->f32, words, 6));
    } else if (d.b) {
        gml_dev_end(&d, gml_dev_intrinsic(&d, names[1], NULL, d.params, 10));
    }
    take_four(e, gml_dev_call(&d, args, "mma"), out);
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
    gml_dev_fn d = gml_dev_begin(e, transposed ? "load_matrix_transposed" : "load_matrix",
                                 four_of(e->be, e->be->i32), &e->be->ptr, 1, GML_DEV_MEETS);
    if (d.b && gml_dev_is_emulator(e)) {
        LLVMValueRef words = words_of(&d, 4);
        LLVMValueRef args[4] = {d.params[0], LLVMConstInt(e->be->i32, transposed, 0), words,
                                d.site};
        gml_dev_model(&d, "gml_emu_load_matrix", e->be->none, args, 4);
        gml_dev_end(&d, load_four(&d, e->be->i32, words, 0));
    } else if (d.b) {
        LLVMValueRef at = gml_dev_to_space(&d, d.params[0], GML_SHARED_SPACE);
        gml_dev_end(&d, gml_dev_intrinsic(
                            &d,
                            transposed ? "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16"
                                       : "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16",
                            LLVMTypeOf(at), &at, 1));
    }
    LLVMValueRef arg = gml_dev_generic(e, address);
    take_four(e, gml_dev_call(&d, &arg, "matrix load"), out);
}

/* ---- asynchronous copies ------------------------------------------------------------------
 */

/* Of 16 bytes, so many are read; the rest are zeros. LLVM's intrinsic has no such form. */
static void copy_body(const gml_dev_fn *d)
{
    gml_backend *be = d->e->be;
    LLVMValueRef from = gml_dev_to_space(d, d->params[1], GML_GLOBAL_SPACE);
    LLVMValueRef args[3] = {gml_dev_shared_address(d, d->params[0]),
                            LLVMBuildPtrToInt(d->b, from, be->i64, ""),
                            LLVMBuildSelect(d->b, d->params[2], LLVMConstInt(be->i32, 16, 0),
                                            LLVMConstInt(be->i32, 0, 0), "")};
    gml_dev_assembly(d, be->none, "cp.async.cg.shared.global [$0], [$1], 16, $2;",
                     "r,l,r,~{memory}", args, 3);
}

void gml_dev_copy_async(gml_emit *e, LLVMValueRef shared, LLVMValueRef from, LLVMValueRef valid)
{
    LLVMTypeRef params[3] = {e->be->ptr, e->be->ptr, e->be->i1};
    gml_dev_fn d = gml_dev_begin(e, "copy_async", e->be->none, params, 3, GML_DEV_SITED);
    if (d.b) {
        LLVMValueRef args[4] = {d.params[0], d.params[1],
                                LLVMBuildZExt(d.b, d.params[2], e->be->i32, ""), d.site};
        if (gml_dev_is_emulator(e))
            gml_dev_model(&d, "gml_emu_copy_async", e->be->none, args, 4);
        else
            copy_body(&d);
        gml_dev_end(&d, NULL);
    }
    LLVMValueRef args[3] = {gml_dev_generic(e, shared), gml_dev_generic(e, from), valid};
    gml_dev_call(&d, args, "asynchronous copy");
}

void gml_dev_copy_commit(gml_emit *e)
{
    gml_dev_fn d = gml_dev_begin(e, "copy_commit", e->be->none, NULL, 0, GML_DEV_SITED);
    if (d.b) {
        if (gml_dev_is_emulator(e))
            gml_dev_model(&d, "gml_emu_copy_commit", e->be->none, &d.site, 1);
        else
            gml_dev_intrinsic(&d, "llvm.nvvm.cp.async.commit.group", NULL, NULL, 0);
        gml_dev_end(&d, NULL);
    }
    gml_dev_call(&d, NULL, "commit");
}

void gml_dev_copy_wait(gml_emit *e, unsigned pending)
{
    char name[32]; /* the number is part of the instruction */
    if (gml_dev_is_omitted(e))
        return;
    snprintf(name, sizeof name, "copy_wait_%u", pending);
    gml_dev_fn d = gml_dev_begin(e, name, e->be->none, NULL, 0, GML_DEV_SITED);
    if (d.b) {
        LLVMValueRef args[2] = {LLVMConstInt(e->be->i32, pending, 0), d.site};
        if (gml_dev_is_emulator(e))
            gml_dev_model(&d, "gml_emu_copy_wait", e->be->none, args, 2);
        else
            gml_dev_intrinsic(&d, "llvm.nvvm.cp.async.wait.group", NULL, args, 1);
        gml_dev_end(&d, NULL);
    }
    gml_dev_call(&d, NULL, "copy wait");
}
