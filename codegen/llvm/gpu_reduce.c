/* codegen/llvm/gpu_reduce.c - a reduction by a team of threads.
 *
 * The reduced axes are dealt out to the threads, neighbours to neighbours, in vectors where
 * the last axis allows. Each thread sums its own; a warp combines by exchanging values between
 * lanes whose numbers differ in one bit, a block then through shared memory. Both are trees of
 * fixed shape: the order of a sum depends on nothing but the code. Every thread ends with the
 * result. */
#include "codegen/llvm/device.h"
#include "codegen/llvm/gpu.h"

#include <string.h>

#define GML_WARP 32

/* The bits of a value as f32, f64, i32 or i64, which lanes can exchange. */
static LLVMValueRef to_word(gml_emit *e, LLVMValueRef value)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    if (LLVMGetTypeKind(type) == LLVMIntegerTypeKind && LLVMGetIntTypeWidth(type) < 32)
        return LLVMBuildZExt(e->b, value, e->be->i32, "");
    return value;
}

static LLVMValueRef from_word(gml_emit *e, LLVMValueRef word, LLVMTypeRef type)
{
    return LLVMTypeOf(word) == type ? word : LLVMBuildTrunc(e->b, word, type, "");
}

static LLVMValueRef across_warp(gml_emit *e, const gml_expr *expr, LLVMValueRef value)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    for (unsigned mask = GML_WARP / 2; mask > 0; mask /= 2) {
        LLVMValueRef other = gml_dev_shuffle_xor(e, to_word(e, value), mask);
        value = gml_emit_accumulate(e, expr, value, from_word(e, other, type), 1);
    }
    return value;
}

static LLVMValueRef partial_at(gml_emit *e, LLVMValueRef number)
{
    LLVMValueRef at = LLVMBuildMul(e->b, number, gml_ll_int(e, 8), "");
    return LLVMBuildInBoundsGEP2(e->b, e->be->i8, e->team.partials, &at, 1, "");
}

/* One value a warp, all combined by every thread in the order of the warps. */
static LLVMValueRef across_block(gml_emit *e, const gml_expr *expr, LLVMValueRef value)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    LLVMTypeRef word = LLVMTypeOf(to_word(e, value));
    unsigned warps = e->team.threads / GML_WARP;
    LLVMValueRef lane = LLVMBuildAnd(e->b, e->team.lane, gml_ll_int(e, GML_WARP - 1), "");
    LLVMValueRef warp = LLVMBuildLShr(e->b, e->team.lane, gml_ll_int(e, 5), "");
    LLVMBasicBlockRef after =
        gml_if_begin(e, LLVMBuildICmp(e->b, LLVMIntEQ, lane, gml_ll_int(e, 0), ""));
    LLVMBuildStore(e->b, to_word(e, value), partial_at(e, warp));
    gml_if_end(e, after);
    gml_dev_barrier(e);
    LLVMValueRef sum = NULL;
    for (unsigned w = 0; w < warps; w++) {
        LLVMValueRef raw = LLVMBuildLoad2(e->b, word, partial_at(e, gml_ll_int(e, w)), "");
        LLVMValueRef one = from_word(e, raw, type);
        sum = sum ? gml_emit_accumulate(e, expr, sum, one, 1) : one;
    }
    gml_dev_barrier(e); /* the next reduction writes there */
    return sum;
}

/* Sets the axes of the reduction to element `number` of all, in steps of `lanes` along the
 * last. */
static void set_axes(gml_emit *e, const gml_expr *expr, LLVMValueRef number, unsigned lanes)
{
    unsigned n = expr->as.reduce.n_axes;
    for (unsigned i = n; i-- > 0;) {
        const gml_axis *axis = expr->as.reduce.axes[i];
        gml_dim extent = axis->extent;
        if (i == n - 1 && lanes > 1)
            extent /= lanes;
        LLVMValueRef at = i == 0 ? number : gml_emit_peel(e, &number, extent);
        if (i == n - 1 && lanes > 1)
            at = LLVMBuildMul(e->b, at, gml_ll_int(e, lanes), "");
        e->axis[axis->number] = at;
    }
}

static gml_dim steps_of(gml_kernel *kernel, const gml_expr *expr, unsigned lanes)
{
    gml_dim steps = 1;
    unsigned n = expr->as.reduce.n_axes;
    for (unsigned i = 0; i < n; i++) {
        gml_dim extent = expr->as.reduce.axes[i]->extent;
        steps = gml_dim_mul(kernel->dims, steps, i == n - 1 ? extent / lanes : extent);
    }
    return steps;
}

LLVMValueRef gml_emit_team_reduce(gml_emit *e, const gml_expr *expr)
{
    gml_team team = e->team;
    const gml_axis *last = expr->as.reduce.axes[expr->as.reduce.n_axes - 1];
    unsigned lanes = gml_gpu_reduce_lanes(e->kernel, expr);
    LLVMValueRef acc = gml_emit_identity(e, expr->as.reduce.op, expr->dtype, lanes);
    uint64_t inner = 0;
    for (unsigned i = 0; i < expr->as.reduce.n_axes; i++)
        inner |= UINT64_C(1) << expr->as.reduce.axes[i]->number;
    gml_emit_hoist(e, expr->as.reduce.body, inner);
    gml_dim n_steps = steps_of(e->kernel, expr, lanes);
    LLVMValueRef steps = gml_emit_dim(e, n_steps);
    bool were_few = e->few_units;
    e->few_units = gml_gpu_are_few(n_steps);
    e->team.threads = 0;
    gml_loop loop;
    gml_loop_begin(e, &loop, team.lane, steps, team.threads, &acc, 1);
    set_axes(e, expr, loop.counter, lanes);
    e->vector = lanes > 1 ? last : NULL;
    e->lanes = lanes;
    LLVMValueRef body = lanes > 1 ? gml_emit_lanes(e, expr->as.reduce.body)
                                  : gml_emit_expr(e, expr->as.reduce.body);
    LLVMValueRef next = gml_emit_accumulate(e, expr, loop.phis[0], body, lanes);
    e->vector = NULL;
    e->lanes = 1;
    gml_loop_end(e, &loop, &next);
    e->few_units = were_few;
    e->team = team;
    LLVMValueRef value = across_warp(e, expr, gml_emit_across(e, expr, loop.phis[0], lanes));
    return !team.is_warp && team.threads > GML_WARP ? across_block(e, expr, value) : value;
}
