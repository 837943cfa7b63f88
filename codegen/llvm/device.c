#include "codegen/llvm/device.h"
#include <string.h>
static LLVMValueRef sreg(gml_emit *e, const char *n) { return gml_ll_intrinsic(e, n, NULL, 0, NULL, 0); }
LLVMValueRef gml_dev_thread(gml_emit *e) { return sreg(e, "llvm.nvvm.read.ptx.sreg.tid.x"); }
LLVMValueRef gml_dev_block(gml_emit *e) { return sreg(e, "llvm.nvvm.read.ptx.sreg.ctaid.x"); }
LLVMValueRef gml_dev_blocks(gml_emit *e) { return sreg(e, "llvm.nvvm.read.ptx.sreg.nctaid.x"); }
void gml_dev_barrier(gml_emit *e) { sreg(e, "llvm.nvvm.barrier0"); }
LLVMValueRef gml_dev_shuffle_xor(gml_emit *e, LLVMValueRef v, unsigned mask)
{
    LLVMTypeRef t = LLVMTypeOf(v), i32 = e->be->i32;
    if (t == e->be->f64 || t == e->be->i64) {
        LLVMValueRef b = LLVMBuildBitCast(e->b, v, e->be->i64, "");
        LLVMValueRef lo = gml_dev_shuffle_xor(e, LLVMBuildTrunc(e->b, b, i32, ""), mask);
        LLVMValueRef hi = gml_dev_shuffle_xor(e, LLVMBuildTrunc(e->b, LLVMBuildLShr(e->b, b, gml_ll_int(e, 32), ""), i32, ""), mask);
        b = LLVMBuildOr(e->b, LLVMBuildZExt(e->b, lo, e->be->i64, ""), LLVMBuildShl(e->b, LLVMBuildZExt(e->b, hi, e->be->i64, ""), gml_ll_int(e, 32), ""), "");
        return LLVMBuildBitCast(e->b, b, t, "");
    }
    LLVMValueRef a[4] = {LLVMConstInt(i32, 0xffffffffu, 0), LLVMBuildBitCast(e->b, v, i32, ""), LLVMConstInt(i32, mask, 0), LLVMConstInt(i32, 31, 0)};
    return LLVMBuildBitCast(e->b, gml_ll_intrinsic(e, "llvm.nvvm.shfl.sync.bfly.i32", NULL, 0, a, 4), t, "");
}
LLVMValueRef gml_dev_shared(gml_emit *e)
{
    LLVMValueRef g = LLVMGetNamedGlobal(e->be->module, "gml_shared");
    if (!g) {
        g = LLVMAddGlobalInAddressSpace(e->be->module, LLVMArrayType2(e->be->i8, 0), "gml_shared", 3);
        LLVMSetLinkage(g, LLVMExternalLinkage);
        LLVMSetAlignment(g, 128);
    }
    return LLVMBuildAddrSpaceCast(e->b, g, e->be->ptr, "");
}
void gml_dev_mma_bf16(gml_emit *e, LLVMValueRef const *a, LLVMValueRef const *b, LLVMValueRef const *c, LLVMValueRef *d)
{
    LLVMValueRef args[10] = {a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], c[2], c[3]};
    const char *n = "llvm.nvvm.mma.m16n8k16.row.col.bf16";
    unsigned id = LLVMLookupIntrinsicID(n, strlen(n));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->be->module, id, NULL, 0);
    LLVMValueRef r = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, args, 10, "");
    for (unsigned i = 0; i < 4; i++) d[i] = LLVMBuildExtractValue(e->b, r, i, "");
}
void gml_dev_load_matrix(gml_emit *e, LLVMValueRef address, bool transposed, LLVMValueRef *d)
{
    LLVMTypeRef p3 = LLVMPointerTypeInContext(e->be->context, 3);
    const char *n = transposed ? "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.trans.b16" : "llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4.b16";
    unsigned id = LLVMLookupIntrinsicID(n, strlen(n));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->be->module, id, &p3, 1);
    LLVMValueRef at = LLVMBuildAddrSpaceCast(e->b, address, p3, "");
    LLVMValueRef r = LLVMBuildCall2(e->b, LLVMGlobalGetValueType(f), f, &at, 1, "");
    for (unsigned i = 0; i < 4; i++) d[i] = LLVMBuildExtractValue(e->b, r, i, "");
}
