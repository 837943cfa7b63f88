/* codegen/llvm/flow.c - loops, branches, and the little words of emission. */
#include "codegen/llvm/emit.h"

#include <stdlib.h>
#include <string.h>

LLVMValueRef gml_ll_int(const gml_emit *e, int64_t value)
{
    return LLVMConstInt(e->be->i64, (unsigned long long)value, 1);
}

LLVMTypeRef gml_ll_vector(LLVMTypeRef element, unsigned lanes)
{
    return lanes == 1 ? element : LLVMVectorType(element, lanes);
}

LLVMValueRef gml_ll_splat(gml_emit *e, LLVMValueRef scalar, unsigned lanes)
{
    if (lanes == 1)
        return scalar;
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), lanes);
    LLVMValueRef one = LLVMBuildInsertElement(e->b, LLVMGetPoison(type), scalar,
                                              LLVMConstInt(e->be->i32, 0, 0), "");
    return LLVMBuildShuffleVector(e->b, one, LLVMGetPoison(type),
                                  LLVMConstNull(LLVMVectorType(e->be->i32, lanes)), "");
}

static LLVMValueRef constant_splat(LLVMValueRef scalar, unsigned lanes)
{
    LLVMValueRef all[256];
    if (lanes == 1)
        return scalar;
    for (unsigned i = 0; i < lanes; i++)
        all[i] = scalar;
    return LLVMConstVector(all, lanes);
}

LLVMValueRef gml_ll_float(gml_emit *e, double value, unsigned lanes)
{
    return constant_splat(LLVMConstReal(e->be->f32, value), lanes);
}

LLVMValueRef gml_ll_const(gml_emit *e, LLVMTypeRef type, int64_t value, unsigned lanes)
{
    (void)e;
    return constant_splat(LLVMConstInt(type, (unsigned long long)value, 1), lanes);
}

LLVMValueRef gml_ll_intrinsic(gml_emit *e, const char *name, LLVMTypeRef const *types,
                              unsigned n_types, LLVMValueRef const *args, unsigned n_args)
{
    LLVMTypeRef overloads[4];
    LLVMValueRef operands[8];
    memcpy(overloads, types, n_types * sizeof *types);
    memcpy(operands, args, n_args * sizeof *args);
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    if (id == 0)
        GML_BUG("LLVM does not know an intrinsic");
    LLVMValueRef callee = LLVMGetIntrinsicDeclaration(e->be->module, id, overloads, n_types);
    LLVMTypeRef type = LLVMIntrinsicGetType(e->be->context, id, overloads, n_types);
    return LLVMBuildCall2(e->b, type, callee, operands, n_args, "");
}

LLVMValueRef gml_ll_fma(gml_emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef args[3] = {a, b, c};
    if (!e->be->has_fma)
        return LLVMBuildFAdd(e->b, LLVMBuildFMul(e->b, a, b, ""), c, "");
    return gml_ll_intrinsic(e, "llvm.fma", &type, 1, args, 3);
}

LLVMValueRef gml_ll_call(gml_emit *e, const char *name, LLVMTypeRef result,
                         LLVMValueRef const *args, unsigned n_args, unsigned lanes)
{
    LLVMTypeRef types[4];
    LLVMValueRef operands[4];
    for (unsigned i = 0; i < n_args; i++) {
        types[i] = LLVMTypeOf(args[i]);
        if (LLVMGetTypeKind(types[i]) == LLVMVectorTypeKind)
            types[i] = LLVMGetElementType(types[i]);
    }
    LLVMTypeRef type = LLVMFunctionType(result, types, n_args, 0);
    LLVMValueRef callee = LLVMGetNamedFunction(e->be->module, name);
    if (!callee)
        callee = LLVMAddFunction(e->be->module, name, type);
    if (lanes == 1) {
        memcpy(operands, args, n_args * sizeof *args);
        return LLVMBuildCall2(e->b, type, callee, operands, n_args, "");
    }
    LLVMValueRef all = LLVMGetPoison(LLVMVectorType(result, lanes));
    for (unsigned lane = 0; lane < lanes; lane++) {
        LLVMValueRef at = LLVMConstInt(e->be->i32, lane, 0);
        for (unsigned i = 0; i < n_args; i++)
            operands[i] = LLVMGetTypeKind(LLVMTypeOf(args[i])) == LLVMVectorTypeKind
                              ? LLVMBuildExtractElement(e->b, args[i], at, "")
                              : args[i];
        LLVMValueRef one = LLVMBuildCall2(e->b, type, callee, operands, n_args, "");
        all = LLVMBuildInsertElement(e->b, all, one, at, "");
    }
    return all;
}

/* ---- scopes -------------------------------------------------------------------------------
 */

void gml_scope_push(gml_emit *e)
{
    unsigned *scopes = realloc(e->scopes, (e->n_scopes + 1) * sizeof *scopes);
    if (!scopes)
        gml_out_of_memory((e->n_scopes + 1) * sizeof *scopes);
    e->scopes = scopes;
    e->scopes[e->n_scopes++] = ++e->next_scope;
}

void gml_scope_pop(gml_emit *e)
{
    e->n_scopes--;
}

/* ---- control flow -------------------------------------------------------------------------
 */

static LLVMBasicBlockRef new_block(gml_emit *e, const char *name)
{
    return LLVMAppendBasicBlockInContext(e->be->context, e->function, name);
}

void gml_loop_begin(gml_emit *e, gml_loop *loop, LLVMValueRef begin, LLVMValueRef end,
                    int64_t step, LLVMValueRef const *starts, unsigned n_starts)
{
    LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
    LLVMBasicBlockRef body = new_block(e, "loop");
    loop->head = new_block(e, "head");
    loop->exit = new_block(e, "done");
    loop->end = end;
    loop->step = gml_ll_int(e, step);
    loop->n_phis = n_starts;
    LLVMBuildBr(e->b, loop->head);
    LLVMPositionBuilderAtEnd(e->b, loop->head);
    loop->counter = LLVMBuildPhi(e->b, e->be->i64, "i");
    LLVMAddIncoming(loop->counter, &begin, &before, 1);
    for (unsigned i = 0; i < n_starts; i++) {
        LLVMValueRef start = starts[i];
        loop->phis[i] = LLVMBuildPhi(e->b, LLVMTypeOf(start), "");
        LLVMAddIncoming(loop->phis[i], &start, &before, 1);
    }
    LLVMValueRef more = LLVMBuildICmp(e->b, LLVMIntSLT, loop->counter, end, "");
    LLVMBuildCondBr(e->b, more, body, loop->exit);
    LLVMPositionBuilderAtEnd(e->b, body);
    gml_scope_push(e);
}

void gml_loop_end(gml_emit *e, gml_loop *loop, LLVMValueRef const *nexts)
{
    gml_scope_pop(e);
    LLVMBasicBlockRef last = LLVMGetInsertBlock(e->b);
    LLVMValueRef next = LLVMBuildNSWAdd(e->b, loop->counter, loop->step, "");
    LLVMBuildBr(e->b, loop->head);
    LLVMAddIncoming(loop->counter, &next, &last, 1);
    for (unsigned i = 0; i < loop->n_phis; i++) {
        LLVMValueRef value = nexts[i];
        LLVMAddIncoming(loop->phis[i], &value, &last, 1);
    }
    LLVMPositionBuilderAtEnd(e->b, loop->exit);
}

LLVMBasicBlockRef gml_if_begin(gml_emit *e, LLVMValueRef cond)
{
    LLVMBasicBlockRef then = new_block(e, "then");
    LLVMBasicBlockRef after = new_block(e, "after");
    LLVMBuildCondBr(e->b, cond, then, after);
    LLVMPositionBuilderAtEnd(e->b, then);
    gml_scope_push(e);
    return after;
}

void gml_if_end(gml_emit *e, LLVMBasicBlockRef after)
{
    gml_scope_pop(e);
    LLVMBuildBr(e->b, after);
    LLVMPositionBuilderAtEnd(e->b, after);
}

LLVMValueRef gml_emit_peel(gml_emit *e, LLVMValueRef *unit, gml_dim extent)
{
    if (extent == 1)
        return gml_ll_int(e, 0);
    LLVMValueRef size = gml_emit_dim(e, extent);
    if (e->few_units && gml_dim_is_const(extent)) {
        LLVMValueRef number = LLVMBuildTrunc(e->b, *unit, e->be->i32, "");
        size = LLVMBuildTrunc(e->b, size, e->be->i32, "");
        *unit = LLVMBuildZExt(e->b, LLVMBuildUDiv(e->b, number, size, ""), e->be->i64, "");
        return LLVMBuildZExt(e->b, LLVMBuildURem(e->b, number, size, ""), e->be->i64, "");
    }
    LLVMValueRef rest = LLVMBuildURem(e->b, *unit, size, "");
    *unit = LLVMBuildUDiv(e->b, *unit, size, "");
    return rest;
}
