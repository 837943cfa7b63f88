/* codegen/llvm/expr.c - expressions of loop IR as LLVM values.
 *
 * A load looks at how its flat position depends on the vector axis: not at all (one scalar
 * load), by one element a lane (a vector load), or otherwise (a gather). Loads with a predicate
 * never touch memory where it is false: vectors by their mask, scalars by reading element 0,
 * which every memory has. */
#include "codegen/llvm/emit.h"
#include "ir/index.h"
#include "ir/scalar.h"

LLVMTypeRef gml_emit_type(const gml_emit *e, gml_dtype dtype, unsigned lanes)
{
    const gml_backend *be = e->be;
    LLVMTypeRef type = be->f32;
    if (dtype == GML_F64)
        type = be->f64;
    else if (gml_dtype_get_class(dtype) == GML_CLASS_BOOL)
        type = be->i1;
    else if (gml_dtype_lanes(dtype) == GML_LANE_I64)
        type = LLVMIntTypeInContext(be->context, (unsigned)gml_dtype_size(dtype) * 8);
    return gml_ll_vector(type, lanes);
}

/* The type of an element in memory. */
static LLVMTypeRef memory_type(const gml_emit *e, gml_dtype dtype, unsigned lanes)
{
    const gml_backend *be = e->be;
    LLVMTypeRef type = LLVMIntTypeInContext(be->context, (unsigned)gml_dtype_size(dtype) * 8);
    if (dtype == GML_F32)
        type = be->f32;
    else if (dtype == GML_F64)
        type = be->f64;
    return gml_ll_vector(type, lanes);
}

/* ---- between memory and values ------------------------------------------------------------
 */

static LLVMValueRef call_small(gml_emit *e, const char *name, LLVMTypeRef result,
                               gml_dtype dtype, LLVMValueRef value, unsigned lanes)
{
    LLVMValueRef args[2] = {LLVMConstInt(e->be->i32, dtype, 0), value};
    return gml_ll_call(e, name, result, args, 2, lanes);
}

static LLVMValueRef from_memory(gml_emit *e, gml_dtype dtype, LLVMValueRef raw, unsigned lanes)
{
    gml_backend *be = e->be;
    if (dtype == GML_F32 || dtype == GML_F64)
        return raw;
    if (dtype == GML_BOOL)
        return LLVMBuildICmp(e->b, LLVMIntNE, raw, LLVMConstNull(LLVMTypeOf(raw)), "");
    if (gml_dtype_lanes(dtype) == GML_LANE_I64)
        return raw;
    if (dtype == GML_BF16) {
        LLVMValueRef wide = LLVMBuildZExt(e->b, raw, gml_ll_vector(be->i32, lanes), "");
        wide = LLVMBuildShl(e->b, wide, gml_ll_const(e, be->i32, 16, lanes), "");
        return LLVMBuildBitCast(e->b, wide, gml_ll_vector(be->f32, lanes), "");
    }
    if (dtype == GML_F16) {
        LLVMTypeRef half = gml_ll_vector(LLVMHalfTypeInContext(be->context), lanes);
        return LLVMBuildFPExt(e->b, LLVMBuildBitCast(e->b, raw, half, ""),
                              gml_ll_vector(be->f32, lanes), "");
    }
    LLVMValueRef code = LLVMBuildZExt(e->b, raw, gml_ll_vector(be->i32, lanes), "");
    return call_small(e, "gml_code_small_decode", be->f32, dtype, code, lanes);
}

/* Bits of a bf16, in i32, rounded to nearest even; NaN stays quiet NaN. */
static LLVMValueRef bf16_bits(gml_emit *e, LLVMValueRef value, unsigned lanes)
{
    LLVMTypeRef i32 = gml_ll_vector(e->be->i32, lanes);
    if (e->be->gpu == GML_GPU_CUDA) { /* an instruction does it */
        LLVMTypeRef type = gml_ll_vector(LLVMBFloatTypeInContext(e->be->context), lanes);
        LLVMValueRef rounded = LLVMBuildFPTrunc(e->b, value, type, "");
        return LLVMBuildZExt(
            e->b, LLVMBuildBitCast(e->b, rounded, gml_ll_vector(e->be->i16, lanes), ""), i32,
            "");
    }
    LLVMValueRef bits = LLVMBuildBitCast(e->b, value, i32, "");
    LLVMValueRef odd = LLVMBuildAnd(
        e->b, LLVMBuildLShr(e->b, bits, gml_ll_const(e, e->be->i32, 16, lanes), ""),
        gml_ll_const(e, e->be->i32, 1, lanes), "");
    LLVMValueRef up = LLVMBuildAdd(e->b, odd, gml_ll_const(e, e->be->i32, 0x7fff, lanes), "");
    LLVMValueRef rounded = LLVMBuildLShr(e->b, LLVMBuildAdd(e->b, bits, up, ""),
                                         gml_ll_const(e, e->be->i32, 16, lanes), "");
    LLVMValueRef quiet =
        LLVMBuildOr(e->b, LLVMBuildLShr(e->b, bits, gml_ll_const(e, e->be->i32, 16, lanes), ""),
                    gml_ll_const(e, e->be->i32, 0x40, lanes), "");
    LLVMValueRef nan = LLVMBuildFCmp(e->b, LLVMRealUNO, value, value, "");
    return LLVMBuildSelect(e->b, nan, quiet, rounded, "");
}

static LLVMValueRef to_memory(gml_emit *e, gml_dtype dtype, LLVMValueRef value, unsigned lanes)
{
    gml_backend *be = e->be;
    LLVMTypeRef type = memory_type(e, dtype, lanes);
    if (dtype == GML_F32 || dtype == GML_F64)
        return value;
    if (dtype == GML_BOOL)
        return LLVMBuildZExt(e->b, value, type, "");
    if (gml_dtype_lanes(dtype) == GML_LANE_I64)
        return value;
    if (dtype == GML_BF16)
        return LLVMBuildTrunc(e->b, bf16_bits(e, value, lanes), type, "");
    if (dtype == GML_F16) {
        LLVMTypeRef half = gml_ll_vector(LLVMHalfTypeInContext(be->context), lanes);
        return LLVMBuildBitCast(e->b, LLVMBuildFPTrunc(e->b, value, half, ""), type, "");
    }
    LLVMValueRef code = call_small(e, "gml_code_small_encode", be->i32, dtype, value, lanes);
    return LLVMBuildTrunc(e->b, code, type, "");
}

LLVMValueRef gml_emit_to_bits(gml_emit *e, gml_dtype dtype, LLVMValueRef value, unsigned lanes)
{
    return to_memory(e, dtype, value, lanes);
}

LLVMValueRef gml_emit_from_bits(gml_emit *e, gml_dtype dtype, LLVMValueRef bits, unsigned lanes)
{
    LLVMTypeRef type = memory_type(e, dtype, lanes);
    return from_memory(e, dtype, LLVMBuildBitCast(e->b, bits, type, ""), lanes);
}

LLVMValueRef gml_emit_round(gml_emit *e, gml_dtype dtype, LLVMValueRef value, unsigned lanes)
{
    if (dtype == GML_F32 || dtype == GML_F64)
        return value;
    return from_memory(e, dtype, to_memory(e, dtype, value, lanes), lanes);
}

LLVMValueRef gml_emit_address(gml_emit *e, const gml_mem *mem, LLVMValueRef flat)
{
    size_t number = mem->number;
    if (mem->role != GML_MEM_INPUT)
        number += e->kernel->inputs.count;
    if (mem->role == GML_MEM_LOCAL)
        number += e->kernel->outputs.count;
    LLVMTypeRef element = memory_type(e, mem->dtype, 1);
    return LLVMBuildInBoundsGEP2(e->b, element, e->mems[number], &flat, 1, "");
}

/* A GPU takes no access that is not aligned. A vector's address is, there: see is_vector. */
static unsigned alignment(const gml_emit *e, gml_dtype dtype, unsigned lanes)
{
    return e->be->gpu == GML_GPU_NONE ? 1 : (unsigned)gml_dtype_size(dtype) * lanes;
}

LLVMValueRef gml_emit_load_at(gml_emit *e, gml_dtype dtype, LLVMValueRef address,
                              unsigned lanes, LLVMValueRef mask)
{
    LLVMTypeRef type = memory_type(e, dtype, lanes);
    LLVMValueRef raw = NULL;
    if (mask && lanes > 1) {
        LLVMTypeRef types[2] = {type, e->be->ptr};
        LLVMValueRef args[4] = {address, LLVMConstInt(e->be->i32, 1, 0), mask,
                                LLVMConstNull(type)};
        raw = gml_ll_intrinsic(e, "llvm.masked.load", types, 2, args, 4);
    } else {
        raw = LLVMBuildLoad2(e->b, type, address, "");
        LLVMSetAlignment(raw, alignment(e, dtype, lanes));
    }
    return from_memory(e, dtype, raw, lanes);
}

void gml_emit_store_at(gml_emit *e, gml_dtype dtype, LLVMValueRef address, LLVMValueRef value,
                       unsigned lanes, LLVMValueRef mask)
{
    LLVMValueRef raw = to_memory(e, dtype, value, lanes);
    if (mask && lanes > 1) {
        LLVMTypeRef types[2] = {LLVMTypeOf(raw), e->be->ptr};
        LLVMValueRef args[4] = {raw, address, LLVMConstInt(e->be->i32, 1, 0), mask};
        gml_ll_intrinsic(e, "llvm.masked.store", types, 2, args, 4);
    } else {
        LLVMSetAlignment(LLVMBuildStore(e->b, raw, address), alignment(e, dtype, lanes));
    }
}

/* ---- sizes and positions ------------------------------------------------------------------
 */

static LLVMValueRef floor_division(gml_emit *e, LLVMValueRef a, LLVMValueRef b, bool remainder)
{
    LLVMValueRef zero = gml_ll_int(e, 0);
    LLVMValueRef q = LLVMBuildSDiv(e->b, a, b, "");
    LLVMValueRef r = LLVMBuildSRem(e->b, a, b, "");
    LLVMValueRef off = LLVMBuildAnd(
        e->b, LLVMBuildICmp(e->b, LLVMIntNE, r, zero, ""),
        LLVMBuildICmp(e->b, LLVMIntSLT, LLVMBuildXor(e->b, r, b, ""), zero, ""), "");
    if (remainder)
        return LLVMBuildSelect(e->b, off, LLVMBuildAdd(e->b, r, b, ""), r, "");
    return LLVMBuildSelect(e->b, off, LLVMBuildSub(e->b, q, gml_ll_int(e, 1), ""), q, "");
}

static LLVMValueRef dim_operator(gml_emit *e, gml_dim_op op, LLVMValueRef a, LLVMValueRef b)
{
    LLVMTypeRef type = e->be->i64;
    LLVMValueRef args[2] = {a, b};
    switch (op) {
    case GML_DIM_ADD: return LLVMBuildAdd(e->b, a, b, "");
    case GML_DIM_MUL: return LLVMBuildMul(e->b, a, b, "");
    case GML_DIM_DIV: return floor_division(e, a, b, false);
    case GML_DIM_MOD: return floor_division(e, a, b, true);
    case GML_DIM_MIN: return gml_ll_intrinsic(e, "llvm.smin", &type, 1, args, 2);
    case GML_DIM_MAX: return gml_ll_intrinsic(e, "llvm.smax", &type, 1, args, 2);
    case GML_DIM_SYMBOL: break;
    }
    return a;
}

LLVMValueRef gml_emit_dim(gml_emit *e, gml_dim dim)
{
    if (gml_dim_is_const(dim))
        return gml_ll_int(e, dim);
    size_t number = gml_dim_index(dim);
    const gml_dim_expr *expr = &e->kernel->dims->exprs.items[number];
    if (expr->op != GML_DIM_SYMBOL)
        return dim_operator(e, expr->op, gml_emit_dim(e, expr->a), gml_emit_dim(e, expr->b));
    LLVMValueRef at = gml_ll_int(e, (int64_t)number);
    LLVMValueRef address = LLVMBuildInBoundsGEP2(e->b, e->be->i64, e->dims, &at, 1, "");
    return LLVMBuildLoad2(e->b, e->be->i64, address, "");
}

/* Writes flat = coefficient * (vector axis) + rest. False when it is not so. */
static bool split_flat(gml_emit *e, const gml_expr *flat, int64_t *coefficient,
                       const gml_expr **rest)
{
    gml_linear sum;
    *coefficient = 0;
    *rest = flat;
    if (!e->vector || !(flat->free >> e->vector->number & 1))
        return true;
    if (!gml_index_linear(flat, &sum))
        return false;
    const gml_expr *total = gml_expr_int(e->kernel, GML_I64, sum.constant);
    for (unsigned i = 0; i < sum.n_terms; i++) {
        const gml_expr *atom = sum.terms[i].atom;
        if (atom->kind == GML_EXPR_AXIS && atom->as.axis == e->vector) {
            *coefficient = sum.terms[i].coefficient;
            continue;
        }
        if (atom->free >> e->vector->number & 1)
            return false;
        total = gml_index_op(
            e->kernel, GML_X_ADD, total,
            gml_index_op(e->kernel, GML_X_MUL, atom,
                         gml_expr_int(e->kernel, GML_I64, sum.terms[i].coefficient)));
    }
    *rest = total;
    return true;
}

static bool varies(const gml_emit *e, const gml_expr *expr)
{
    return e->lanes > 1 && e->vector && (expr->free >> e->vector->number & 1);
}

/* Index arithmetic of vectors is done in 32 bits where the bounds allow: twice the lanes, and
 * divisions by constants become multiplications, which 64-bit lanes have not. */
static bool is_narrow(const gml_emit *e, const gml_expr *expr)
{
    return expr->dtype == GML_I64 && expr->lo > INT32_MIN && expr->hi < INT32_MAX &&
           varies(e, expr);
}

static LLVMValueRef widen(gml_emit *e, LLVMValueRef value)
{
    LLVMTypeRef type = LLVMTypeOf(value);
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind || LLVMGetElementType(type) != e->be->i32)
        return value;
    return LLVMBuildSExt(e->b, value, LLVMVectorType(e->be->i64, e->lanes), "");
}

static LLVMValueRef widen_one(gml_emit *e, LLVMValueRef value)
{
    return LLVMTypeOf(value) == e->be->i32 ? LLVMBuildSExt(e->b, value, e->be->i64, "") : value;
}

static LLVMValueRef both_masks(gml_emit *e, LLVMValueRef mask, LLVMValueRef pred)
{
    if (!mask || !pred)
        return mask ? mask : pred;
    return LLVMBuildAnd(e->b, mask, pred, "");
}

/* ---- loads --------------------------------------------------------------------------------
 */

static LLVMValueRef scalar_load(gml_emit *e, const gml_expr *expr, const gml_expr *flat)
{
    LLVMValueRef at = gml_emit_expr(e, flat);
    const gml_mem *mem = expr->as.load.mem;
    if (!expr->as.load.pred)
        return gml_emit_load_at(e, mem->dtype, gml_emit_address(e, mem, at), 1, NULL);
    LLVMValueRef pred = gml_emit_expr(e, expr->as.load.pred);
    at = LLVMBuildSelect(e->b, pred, at, gml_ll_int(e, 0), "");
    LLVMValueRef value = gml_emit_load_at(e, mem->dtype, gml_emit_address(e, mem, at), 1, NULL);
    return LLVMBuildSelect(e->b, pred, value, LLVMConstNull(LLVMTypeOf(value)), "");
}

/* Whether `rest` is a multiple of the vector's lanes, which its first element's position then
 * is, too: the vector axis moves in whole vectors. Memories are aligned. */
static bool is_aligned(const gml_emit *e, const gml_expr *rest)
{
    gml_linear sum;
    if (!gml_index_linear(rest, &sum) || sum.constant % e->lanes != 0)
        return false;
    for (unsigned i = 0; i < sum.n_terms; i++)
        if (sum.terms[i].coefficient % e->lanes != 0)
            return false;
    return true;
}

/* Neighbouring elements as one access: always on a CPU, aligned and unmasked ones on a GPU. */
static bool is_vector(const gml_emit *e, const gml_expr *rest, LLVMValueRef mask)
{
    return e->be->gpu == GML_GPU_NONE || (!mask && is_aligned(e, rest));
}

static LLVMValueRef lane_of(gml_emit *e, LLVMValueRef vector, unsigned lane)
{
    if (LLVMGetTypeKind(LLVMTypeOf(vector)) != LLVMVectorTypeKind)
        return vector;
    return LLVMBuildExtractElement(e->b, vector, LLVMConstInt(e->be->i32, lane, 0), "");
}

/* One lane after the other, as GPUs do what is no aligned vector. */
static LLVMValueRef load_apart(gml_emit *e, const gml_mem *mem, LLVMValueRef flat,
                               LLVMValueRef mask)
{
    LLVMValueRef all = LLVMGetPoison(gml_emit_type(e, mem->dtype, e->lanes));
    for (unsigned lane = 0; lane < e->lanes; lane++) {
        LLVMValueRef at = widen_one(e, lane_of(e, flat, lane));
        LLVMValueRef is_there = mask ? lane_of(e, mask, lane) : NULL;
        if (is_there)
            at = LLVMBuildSelect(e->b, is_there, at, gml_ll_int(e, 0), "");
        LLVMValueRef one =
            gml_emit_load_at(e, mem->dtype, gml_emit_address(e, mem, at), 1, NULL);
        if (is_there)
            one = LLVMBuildSelect(e->b, is_there, one, LLVMConstNull(LLVMTypeOf(one)), "");
        all = LLVMBuildInsertElement(e->b, all, one, LLVMConstInt(e->be->i32, lane, 0), "");
    }
    return all;
}

static void store_apart(gml_emit *e, const gml_mem *mem, LLVMValueRef flat, LLVMValueRef value)
{
    for (unsigned lane = 0; lane < e->lanes; lane++) {
        LLVMValueRef at = widen_one(e, lane_of(e, flat, lane));
        gml_emit_store_at(e, mem->dtype, gml_emit_address(e, mem, at), lane_of(e, value, lane),
                          1, NULL);
    }
}

static LLVMValueRef gather(gml_emit *e, const gml_mem *mem, LLVMValueRef flat,
                           LLVMValueRef mask)
{
    if (e->be->gpu != GML_GPU_NONE)
        return load_apart(e, mem, flat, mask);
    unsigned lanes = e->lanes;
    LLVMTypeRef type = memory_type(e, mem->dtype, lanes);
    LLVMTypeRef types[2] = {type, LLVMVectorType(e->be->ptr, lanes)};
    if (!mask)
        mask = gml_ll_const(e, e->be->i1, 1, lanes);
    LLVMValueRef args[4] = {gml_emit_address(e, mem, flat), LLVMConstInt(e->be->i32, 1, 0),
                            mask, LLVMConstNull(type)};
    LLVMValueRef raw = gml_ll_intrinsic(e, "llvm.masked.gather", types, 2, args, 4);
    return from_memory(e, mem->dtype, raw, lanes);
}

static bool is_empty(const gml_mem *mem)
{
    for (int d = 0; d < mem->rank; d++)
        if (mem->dims[d] == 0)
            return true;
    return false;
}

static LLVMValueRef emit_load(gml_emit *e, const gml_expr *expr)
{
    const gml_mem *mem = expr->as.load.mem;
    const gml_expr *pred = expr->as.load.pred;
    const gml_expr *flat = gml_index_flat(e->kernel, mem, expr->as.load.index);
    if (is_empty(mem))
        return LLVMConstNull(gml_emit_type(e, mem->dtype, varies(e, expr) ? e->lanes : 1));
    if (!varies(e, expr))
        return scalar_load(e, expr, flat);
    int64_t coefficient = 0;
    const gml_expr *rest = NULL;
    bool affine = split_flat(e, flat, &coefficient, &rest);
    if (affine && coefficient == 0 && !pred)
        return gml_ll_splat(e, scalar_load(e, expr, rest), e->lanes);
    LLVMValueRef mask = both_masks(e, e->mask, pred ? gml_emit_lanes(e, pred) : NULL);
    if (affine && coefficient == 1 && is_vector(e, rest, mask)) {
        LLVMValueRef at =
            LLVMBuildAdd(e->b, gml_emit_expr(e, rest), e->axis[e->vector->number], "");
        return gml_emit_load_at(e, mem->dtype, gml_emit_address(e, mem, at), e->lanes, mask);
    }
    LLVMValueRef at = is_narrow(e, flat) ? gml_emit_expr(e, flat) : gml_emit_lanes(e, flat);
    return gather(e, mem, at, mask);
}

/* ---- expressions --------------------------------------------------------------------------
 */

static LLVMValueRef emit_constant(gml_emit *e, const gml_expr *expr)
{
    LLVMTypeRef type = gml_emit_type(e, expr->dtype, 1);
    if (gml_dtype_get_class(expr->dtype) == GML_CLASS_FLOAT)
        return LLVMConstReal(type, expr->as.cst.f);
    return LLVMConstInt(type, (unsigned long long)expr->as.cst.i, 1);
}

static LLVMValueRef emit_axis(gml_emit *e, const gml_expr *expr)
{
    LLVMValueRef base = e->axis[expr->as.axis->number];
    if (!base)
        GML_BUG("an axis is used outside its loop");
    if (!varies(e, expr))
        return base;
    LLVMValueRef steps[256];
    LLVMTypeRef type = is_narrow(e, expr) ? e->be->i32 : e->be->i64;
    if (type == e->be->i32)
        base = LLVMBuildTrunc(e->b, base, type, "");
    for (unsigned i = 0; i < e->lanes; i++)
        steps[i] = LLVMConstInt(type, i, 0);
    return LLVMBuildAdd(e->b, gml_ll_splat(e, base, e->lanes), LLVMConstVector(steps, e->lanes),
                        "");
}

/* A GPU has no 64-bit arithmetic of its own: a scalar index is computed in 32 bits, too, and is
 * widened where it becomes an address. */
static LLVMValueRef narrow_scalar(gml_emit *e, const gml_expr *expr)
{
    LLVMValueRef args[2];
    for (unsigned i = 0; i < 2; i++)
        args[i] =
            LLVMBuildTrunc(e->b, gml_emit_expr(e, expr->as.scalar.args[i]), e->be->i32, "");
    LLVMValueRef value = gml_emit_scalar(e, expr, args, 1);
    return expr->dtype == GML_BOOL ? value : LLVMBuildSExt(e->b, value, e->be->i64, "");
}

/* Operators that mean the same in 32 bits when operands and result fit. */
static bool works_narrow(gml_scalar_op op)
{
    return op == GML_X_ADD || op == GML_X_SUB || op == GML_X_MUL || op == GML_X_FLOORDIV ||
           op == GML_X_FLOORMOD || op == GML_X_MIN || op == GML_X_MAX ||
           (op >= GML_X_EQ && op <= GML_X_GE);
}

static bool fits_narrow(const gml_expr *expr)
{
    return expr->dtype == GML_I64 && expr->lo > INT32_MIN && expr->hi < INT32_MAX;
}

static LLVMValueRef narrow_operand(gml_emit *e, const gml_expr *expr)
{
    LLVMValueRef value = gml_emit_expr(e, expr);
    LLVMTypeRef type = LLVMTypeOf(value);
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return gml_ll_splat(e, LLVMBuildTrunc(e->b, value, e->be->i32, ""), e->lanes);
    return LLVMGetElementType(type) == e->be->i32
               ? value
               : LLVMBuildTrunc(e->b, value, LLVMVectorType(e->be->i32, e->lanes), "");
}

static bool is_narrow_scalar(const gml_expr *expr)
{
    const gml_expr *a = expr->as.scalar.args[0];
    const gml_expr *b = expr->as.scalar.args[1];
    return works_narrow(expr->as.scalar.op) && fits_narrow(a) && fits_narrow(b) &&
           (expr->dtype == GML_BOOL || fits_narrow(expr));
}

static LLVMValueRef emit_scalar(gml_emit *e, const gml_expr *expr)
{
    LLVMValueRef args[3] = {NULL, NULL, NULL};
    bool vector = varies(e, expr);
    if (is_narrow_scalar(expr) && !vector && e->be->gpu != GML_GPU_NONE)
        return narrow_scalar(e, expr);
    if (is_narrow_scalar(expr) && vector) {
        args[0] = narrow_operand(e, expr->as.scalar.args[0]);
        args[1] = narrow_operand(e, expr->as.scalar.args[1]);
        return gml_emit_scalar(e, expr, args, e->lanes);
    }
    for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
        args[i] = vector ? gml_emit_lanes(e, expr->as.scalar.args[i])
                         : gml_emit_expr(e, expr->as.scalar.args[i]);
    return gml_emit_scalar(e, expr, args, vector ? e->lanes : 1);
}

static bool is_live(const gml_emit *e, unsigned scope)
{
    for (unsigned i = e->n_scopes; i-- > 0;)
        if (e->scopes[i] == scope)
            return true;
    return false;
}

static gml_memo *memo_of(gml_emit *e, const gml_expr *expr)
{
    if (expr->id >= e->n_memo) {
        size_t n = e->kernel->exprs.count * 2 + 64;
        gml_memo *grown = gml_new_array(e->kernel->arena, gml_memo, n);
        for (size_t i = 0; i < e->n_memo; i++)
            grown[i] = e->memo[i];
        e->memo = grown;
        e->n_memo = n;
    }
    return &e->memo[expr->id];
}

LLVMValueRef gml_emit_expr(gml_emit *e, const gml_expr *expr)
{
    if (expr->kind == GML_EXPR_CONST)
        return emit_constant(e, expr);
    const gml_memo *known = memo_of(e, expr);
    if (known->value && is_live(e, known->scope))
        return known->value;
    LLVMValueRef value = NULL;
    switch (expr->kind) {
    case GML_EXPR_CONST: break;
    case GML_EXPR_DIM: value = gml_emit_dim(e, expr->as.dim); break;
    case GML_EXPR_AXIS: value = emit_axis(e, expr); break;
    case GML_EXPR_LOAD: value = emit_load(e, expr); break;
    case GML_EXPR_SCALAR: value = emit_scalar(e, expr); break;
    case GML_EXPR_REDUCE: value = gml_emit_reduce(e, expr); break;
    }
    gml_emit_assume(e, expr, value);
    return value;
}

void gml_emit_assume(gml_emit *e, const gml_expr *expr, LLVMValueRef value)
{
    gml_memo *memo = memo_of(e, expr);
    memo->value = value;
    memo->scope = e->scopes[e->n_scopes - 1];
}

LLVMValueRef gml_emit_lane_mask(gml_emit *e, LLVMValueRef begin, LLVMValueRef end)
{
    LLVMValueRef steps[256];
    for (unsigned i = 0; i < e->lanes; i++)
        steps[i] = gml_ll_int(e, i);
    LLVMValueRef left = LLVMBuildSub(e->b, end, begin, "");
    return LLVMBuildICmp(e->b, LLVMIntSLT, LLVMConstVector(steps, e->lanes),
                         gml_ll_splat(e, left, e->lanes), "");
}

LLVMValueRef gml_emit_lanes(gml_emit *e, const gml_expr *expr)
{
    LLVMValueRef value = gml_emit_expr(e, expr);
    if (expr->dtype == GML_I64)
        value = widen(e, value);
    if (e->lanes == 1 || LLVMGetTypeKind(LLVMTypeOf(value)) == LLVMVectorTypeKind)
        return value;
    return gml_ll_splat(e, value, e->lanes);
}

static void hoist(gml_emit *e, const gml_expr *expr, uint64_t inner)
{
    if (!(expr->free & inner)) {
        if (expr->kind != GML_EXPR_CONST)
            gml_emit_expr(e, expr);
        return;
    }
    if (memo_of(e, expr)->hoisted == e->hoists)
        return;
    memo_of(e, expr)->hoisted = e->hoists;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: break;
    case GML_EXPR_LOAD: {
        const gml_expr *flat =
            gml_index_flat(e->kernel, expr->as.load.mem, expr->as.load.index);
        hoist(e, flat, inner);
        if (expr->as.load.pred)
            hoist(e, expr->as.load.pred, inner);
        break;
    }
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            hoist(e, expr->as.scalar.args[i], inner);
        break;
    case GML_EXPR_REDUCE: {
        uint64_t own = inner;
        for (unsigned i = 0; i < expr->as.reduce.n_axes; i++)
            own |= UINT64_C(1) << expr->as.reduce.axes[i]->number;
        hoist(e, expr->as.reduce.body, own);
        break;
    }
    }
}

void gml_emit_hoist(gml_emit *e, const gml_expr *expr, uint64_t inner)
{
    e->hoists++;
    hoist(e, expr, inner);
}

static void emit_reductions(gml_emit *e, const gml_expr *expr)
{
    if (memo_of(e, expr)->hoisted == e->hoists)
        return;
    memo_of(e, expr)->hoisted = e->hoists;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: break;
    case GML_EXPR_LOAD:
        for (int d = 0; d < expr->as.load.mem->rank; d++)
            emit_reductions(e, expr->as.load.index[d]);
        if (expr->as.load.pred)
            emit_reductions(e, expr->as.load.pred);
        break;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            emit_reductions(e, expr->as.scalar.args[i]);
        break;
    case GML_EXPR_REDUCE: gml_emit_expr(e, expr); break;
    }
}

void gml_emit_reductions(gml_emit *e, const gml_expr *expr)
{
    e->hoists++;
    emit_reductions(e, expr);
}

/* ---- stores -------------------------------------------------------------------------------
 */

static void store_always(gml_emit *e, const gml_stmt *store)
{
    const gml_mem *mem = store->as.store.mem;
    const gml_expr *flat = gml_index_flat(e->kernel, mem, store->as.store.index);
    LLVMValueRef value = gml_emit_lanes(e, store->as.store.value);
    int64_t coefficient = 0;
    const gml_expr *rest = NULL;
    if (e->lanes == 1) {
        LLVMValueRef at = gml_emit_expr(e, flat);
        gml_emit_store_at(e, mem->dtype, gml_emit_address(e, mem, at), value, 1, NULL);
        return;
    }
    if (split_flat(e, flat, &coefficient, &rest) && coefficient == 1 &&
        is_vector(e, rest, NULL)) {
        LLVMValueRef at =
            LLVMBuildAdd(e->b, gml_emit_expr(e, rest), e->axis[e->vector->number], "");
        gml_emit_store_at(e, mem->dtype, gml_emit_address(e, mem, at), value, e->lanes,
                          e->mask);
        return;
    }
    if (e->be->gpu != GML_GPU_NONE) {
        store_apart(e, mem, gml_emit_lanes(e, flat), value);
        return;
    }
    LLVMValueRef raw = to_memory(e, mem->dtype, value, e->lanes);
    LLVMTypeRef types[2] = {LLVMTypeOf(raw), LLVMVectorType(e->be->ptr, e->lanes)};
    LLVMValueRef mask = e->mask ? e->mask : gml_ll_const(e, e->be->i1, 1, e->lanes);
    LLVMValueRef args[4] = {raw, gml_emit_address(e, mem, gml_emit_lanes(e, flat)),
                            LLVMConstInt(e->be->i32, 1, 0), mask};
    gml_ll_intrinsic(e, "llvm.masked.scatter", types, 2, args, 4);
}

void gml_emit_store(gml_emit *e, const gml_stmt *store)
{
    const gml_expr *pred = store->as.store.pred;
    LLVMBasicBlockRef after = pred ? gml_if_begin(e, gml_emit_expr(e, pred)) : NULL;
    store_always(e, store);
    if (after)
        gml_if_end(e, after);
}
