/* codegen/llvm/reduce.c - reductions inside an expression.
 *
 * Where the surroundings are vector code, each lane reduces for itself and the reduced axes are
 * plain loops. Where they are scalar, the last reduced axis becomes the vector axis: several
 * accumulators of whole vectors, a masked remainder, and one horizontal combination at the end.
 * Either way the order is fixed by the code, never by threads. */
#include "codegen/llvm/emit.h"
#include "ir/scalar.h"

#include <string.h>

#define GML_ACCUMULATORS 4

LLVMValueRef gml_emit_combine(gml_emit *e, gml_reduce_op op, gml_dtype dtype, LLVMValueRef a,
                              LLVMValueRef b)
{
    bool is_float = gml_dtype_get_class(dtype) == GML_CLASS_FLOAT;
    gml_dtype_class class = gml_dtype_get_class(dtype);
    bool no_sign = class == GML_CLASS_UNSIGNED || class == GML_CLASS_BOOL;
    LLVMTypeRef type = LLVMTypeOf(a);
    LLVMValueRef args[2] = {a, b};
    switch (op) {
    case GML_REDUCE_SUM:
        return is_float ? LLVMBuildFAdd(e->b, a, b, "") : LLVMBuildAdd(e->b, a, b, "");
    case GML_REDUCE_PROD:
        return is_float ? LLVMBuildFMul(e->b, a, b, "") : LLVMBuildMul(e->b, a, b, "");
    case GML_REDUCE_MIN:
        return is_float ? gml_emit_extreme(e, false, dtype, a, b)
                        : gml_ll_intrinsic(e, no_sign ? "llvm.umin" : "llvm.smin", &type, 1,
                                           args, 2);
    case GML_REDUCE_MAX:
        return is_float ? gml_emit_extreme(e, true, dtype, a, b)
                        : gml_ll_intrinsic(e, no_sign ? "llvm.umax" : "llvm.smax", &type, 1,
                                           args, 2);
    case GML_REDUCE_AND: return LLVMBuildAnd(e->b, a, b, "");
    case GML_REDUCE_OR: return LLVMBuildOr(e->b, a, b, "");
    }
    return a;
}

LLVMValueRef gml_emit_identity(gml_emit *e, gml_reduce_op op, gml_dtype dtype, unsigned lanes)
{
    union {
        float f;
        double d;
        int64_t i;
    } lane = {.i = 0};
    gml_reduce_identity(op, dtype, &lane, 1);
    LLVMTypeRef type = gml_emit_type(e, dtype, 1);
    LLVMValueRef one = NULL;
    switch (gml_dtype_lanes(dtype)) {
    case GML_LANE_F32: one = LLVMConstReal(type, (double)lane.f); break;
    case GML_LANE_F64: one = LLVMConstReal(type, lane.d); break;
    case GML_LANE_I64: one = LLVMConstInt(type, (unsigned long long)lane.i, 1); break;
    }
    return gml_ll_splat(e, one, lanes);
}

LLVMValueRef gml_emit_accumulate(gml_emit *e, const gml_expr *expr, LLVMValueRef acc,
                                 LLVMValueRef x, unsigned lanes)
{
    LLVMValueRef sum = gml_emit_combine(e, expr->as.reduce.op, expr->dtype, acc, x);
    return gml_dtype_lanes(expr->dtype) == GML_LANE_F32
               ? gml_emit_round(e, expr->dtype, sum, lanes)
               : sum;
}

LLVMValueRef gml_emit_across(gml_emit *e, const gml_expr *expr, LLVMValueRef vector,
                             unsigned lanes)
{
    while (lanes > 1) {
        LLVMValueRef low[256];
        LLVMValueRef high[256];
        lanes /= 2;
        for (unsigned i = 0; i < lanes; i++) {
            low[i] = LLVMConstInt(e->be->i32, i, 0);
            high[i] = LLVMConstInt(e->be->i32, i + lanes, 0);
        }
        LLVMValueRef poison = LLVMGetPoison(LLVMTypeOf(vector));
        LLVMValueRef a =
            LLVMBuildShuffleVector(e->b, vector, poison, LLVMConstVector(low, lanes), "");
        LLVMValueRef b =
            LLVMBuildShuffleVector(e->b, vector, poison, LLVMConstVector(high, lanes), "");
        if (lanes == 1) {
            LLVMValueRef zero = LLVMConstInt(e->be->i32, 0, 0);
            return gml_emit_accumulate(e, expr, LLVMBuildExtractElement(e->b, a, zero, ""),
                                       LLVMBuildExtractElement(e->b, b, zero, ""), 1);
        }
        vector = gml_emit_accumulate(e, expr, a, b, lanes);
    }
    return vector;
}

/* ---- the last axis as vectors -------------------------------------------------------------
 */

static LLVMValueRef last_axis_vectors(gml_emit *e, const gml_expr *expr, LLVMValueRef acc)
{
    const gml_axis *axis = expr->as.reduce.axes[expr->as.reduce.n_axes - 1];
    const gml_expr *body = expr->as.reduce.body;
    unsigned lanes = e->be->vector_bytes / (gml_dtype_size(expr->dtype) == 8 ? 8 : 4);
    LLVMValueRef end = gml_emit_dim(e, axis->extent);
    LLVMValueRef accs[GML_ACCUMULATORS];
    LLVMValueRef nexts[GML_ACCUMULATORS];
    bool small = gml_dim_is_const(axis->extent) && axis->extent < (int64_t)lanes;
    for (unsigned u = 0; u < GML_ACCUMULATORS; u++)
        accs[u] = gml_emit_identity(e, expr->as.reduce.op, expr->dtype, lanes);
    e->vector = axis;
    e->lanes = lanes;
    LLVMValueRef at = gml_ll_int(e, 0);
    gml_loop loop;
    for (unsigned unroll = small ? 0 : GML_ACCUMULATORS; unroll; unroll = unroll == 1 ? 0 : 1) {
        int64_t step = (int64_t)lanes * unroll;
        LLVMValueRef whole = LLVMBuildSub(e->b, end, gml_ll_int(e, step - 1), "");
        gml_loop_begin(e, &loop, at, whole, step, accs, unroll);
        for (unsigned u = 0; u < unroll; u++) {
            gml_scope_push(e);
            e->axis[axis->number] =
                LLVMBuildAdd(e->b, loop.counter, gml_ll_int(e, (int64_t)(u * lanes)), "");
            nexts[u] =
                gml_emit_accumulate(e, expr, loop.phis[u], gml_emit_lanes(e, body), lanes);
            gml_scope_pop(e);
        }
        gml_loop_end(e, &loop, nexts);
        at = loop.counter;
        memcpy(accs, loop.phis, unroll * sizeof *accs);
        for (unsigned u = 1; u < unroll; u++)
            accs[0] = gml_emit_accumulate(e, expr, accs[0], accs[u], lanes);
    }
    /* what is left, under a mask */
    gml_loop_begin(e, &loop, at, end, lanes, accs, 1);
    LLVMValueRef outer_mask = e->mask;
    e->axis[axis->number] = loop.counter;
    e->mask = gml_emit_lane_mask(e, loop.counter, end);
    LLVMValueRef some =
        LLVMBuildSelect(e->b, e->mask, gml_emit_lanes(e, body),
                        gml_emit_identity(e, expr->as.reduce.op, expr->dtype, lanes), "");
    nexts[0] = gml_emit_accumulate(e, expr, loop.phis[0], some, lanes);
    gml_loop_end(e, &loop, nexts);
    e->mask = outer_mask;
    e->vector = NULL;
    e->lanes = 1;
    return gml_emit_accumulate(e, expr, acc, gml_emit_across(e, expr, loop.phis[0], lanes), 1);
}

/* ---- plain loops --------------------------------------------------------------------------
 */

static LLVMValueRef reduce_level(gml_emit *e, const gml_expr *expr, unsigned level,
                                 bool vectors, LLVMValueRef acc)
{
    unsigned n = expr->as.reduce.n_axes;
    unsigned lanes = e->lanes > 1 && (expr->free >> e->vector->number & 1) ? e->lanes : 1;
    if (level == n) {
        LLVMValueRef body = lanes > 1 ? gml_emit_lanes(e, expr->as.reduce.body)
                                      : gml_emit_expr(e, expr->as.reduce.body);
        return gml_emit_accumulate(e, expr, acc, body, lanes);
    }
    uint64_t inner = 0;
    for (unsigned i = level; i < n; i++)
        inner |= UINT64_C(1) << expr->as.reduce.axes[i]->number;
    gml_emit_hoist(e, expr->as.reduce.body, inner);
    if (vectors && level + 1 == n)
        return last_axis_vectors(e, expr, acc);
    const gml_axis *axis = expr->as.reduce.axes[level];
    gml_loop loop;
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_emit_dim(e, axis->extent), 1, &acc, 1);
    e->axis[axis->number] = loop.counter;
    LLVMValueRef next = reduce_level(e, expr, level + 1, vectors, loop.phis[0]);
    gml_loop_end(e, &loop, &next);
    return loop.phis[0];
}

LLVMValueRef gml_emit_reduce(gml_emit *e, const gml_expr *expr)
{
    bool lanes = e->lanes > 1 && (expr->free >> e->vector->number & 1);
    /* inside vector code but the same for all lanes: scalar code for a while */
    unsigned outer_lanes = e->lanes;
    const gml_axis *outer = e->vector;
    LLVMValueRef outer_mask = e->mask;
    if (!lanes) {
        e->lanes = 1;
        e->vector = NULL;
        e->mask = NULL;
    }
    LLVMValueRef start = gml_emit_identity(e, expr->as.reduce.op, expr->dtype, e->lanes);
    bool vectors =
        !lanes && e->be->gpu == GML_GPU_NONE && gml_schedule_reduce_vector(e->kernel, expr);
    LLVMValueRef value = !lanes && e->team.threads > 0
                             ? gml_emit_team_reduce(e, expr)
                             : reduce_level(e, expr, 0, vectors, start);
    e->lanes = outer_lanes;
    e->vector = outer;
    e->mask = outer_mask;
    return value;
}
