/* codegen/llvm/scalar.c - scalar operators of loop IR as LLVM arithmetic.
 *
 * They mean what ir/scalar.c computes: integers wrap, division by zero gives 0, minimum and
 * maximum of floats keep NaN, casts from floats saturate to 64 bits and then wrap. */
#include "ir/scalar.h"

#include "codegen/llvm/support.h"

#include <string.h>

static bool is_unsigned(gml_dtype dtype)
{
    gml_dtype_class class = gml_dtype_get_class(dtype);
    return class == GML_CLASS_UNSIGNED || class == GML_CLASS_BOOL;
}

static LLVMValueRef int_like(LLVMValueRef like, int64_t value)
{
    LLVMTypeRef type = LLVMTypeOf(like);
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
        return LLVMConstInt(type, (unsigned long long)value, 1);
    LLVMValueRef all[256];
    unsigned lanes = LLVMGetVectorSize(type);
    for (unsigned i = 0; i < lanes; i++)
        all[i] = LLVMConstInt(LLVMGetElementType(type), (unsigned long long)value, 1);
    return LLVMConstVector(all, lanes);
}

/* 4- and 2-bit integers live in bytes: bring them back into their range. */
static LLVMValueRef wrap(gml_emit *e, gml_dtype dtype, LLVMValueRef value)
{
    unsigned bits = gml_dtype_bits(dtype);
    if (bits >= 8 || gml_dtype_get_class(dtype) == GML_CLASS_BOOL)
        return value;
    LLVMValueRef shift = int_like(value, 8 - (int64_t)bits);
    LLVMValueRef high = LLVMBuildShl(e->b, value, shift, "");
    return is_unsigned(dtype) ? LLVMBuildLShr(e->b, high, shift, "")
                              : LLVMBuildAShr(e->b, high, shift, "");
}

/* ---- integers -----------------------------------------------------------------------------
 */

typedef enum division { QUOTIENT, REMAINDER, FLOOR_QUOTIENT, FLOOR_REMAINDER } division;

static LLVMValueRef divide(gml_emit *e, division form, bool no_sign, LLVMValueRef a,
                           LLVMValueRef b)
{
    LLVMValueRef zero = int_like(b, 0);
    LLVMValueRef one = int_like(b, 1);
    LLVMValueRef by_zero = LLVMBuildICmp(e->b, LLVMIntEQ, b, zero, "");
    bool quotient = form == QUOTIENT || form == FLOOR_QUOTIENT;
    LLVMValueRef result = NULL;
    if (no_sign) {
        LLVMValueRef safe = LLVMBuildSelect(e->b, by_zero, one, b, "");
        result = quotient ? LLVMBuildUDiv(e->b, a, safe, "") : LLVMBuildURem(e->b, a, safe, "");
        return LLVMBuildSelect(e->b, by_zero, zero, result, "");
    }
    LLVMValueRef minus = LLVMBuildICmp(e->b, LLVMIntEQ, b, int_like(b, -1), "");
    LLVMValueRef special = LLVMBuildOr(e->b, by_zero, minus, "");
    LLVMValueRef safe = LLVMBuildSelect(e->b, special, one, b, "");
    LLVMValueRef q = LLVMBuildSDiv(e->b, a, safe, "");
    LLVMValueRef r = LLVMBuildSRem(e->b, a, safe, "");
    if (form == FLOOR_QUOTIENT || form == FLOOR_REMAINDER) {
        LLVMValueRef off = LLVMBuildAnd(
            e->b, LLVMBuildICmp(e->b, LLVMIntNE, r, zero, ""),
            LLVMBuildICmp(e->b, LLVMIntSLT, LLVMBuildXor(e->b, r, b, ""), zero, ""), "");
        q = LLVMBuildSelect(e->b, off, LLVMBuildSub(e->b, q, one, ""), q, "");
        r = LLVMBuildSelect(e->b, off, LLVMBuildAdd(e->b, r, b, ""), r, "");
    }
    if (!quotient)
        return LLVMBuildSelect(e->b, special, zero, r, "");
    q = LLVMBuildSelect(e->b, minus, LLVMBuildNeg(e->b, a, ""), q, "");
    return LLVMBuildSelect(e->b, by_zero, zero, q, "");
}

static LLVMValueRef shift(gml_emit *e, gml_scalar_op op, gml_dtype dtype, LLVMValueRef a,
                          LLVMValueRef b)
{
    int64_t bits = gml_dtype_bits(dtype);
    LLVMValueRef out = LLVMBuildICmp(e->b, LLVMIntUGE, b, int_like(b, bits), "");
    LLVMValueRef safe = LLVMBuildSelect(e->b, out, int_like(b, 0), b, "");
    if (op == GML_X_SHL)
        return LLVMBuildSelect(e->b, out, int_like(a, 0), LLVMBuildShl(e->b, a, safe, ""), "");
    if (is_unsigned(dtype))
        return LLVMBuildSelect(e->b, out, int_like(a, 0), LLVMBuildLShr(e->b, a, safe, ""), "");
    LLVMValueRef most = LLVMBuildSelect(e->b, out, int_like(b, bits - 1), b, "");
    return LLVMBuildAShr(e->b, a, most, "");
}

/* By C: exponents are rarely anything but small constants. */
static LLVMValueRef int_power(gml_emit *e, gml_dtype dtype, LLVMValueRef a, LLVMValueRef b,
                              unsigned lanes)
{
    LLVMTypeRef wide = gml_ll_vector(e->be->i64, lanes);
    LLVMTypeRef narrow = LLVMTypeOf(a);
    bool no_sign = is_unsigned(dtype);
    bool full = gml_dtype_size(dtype) == 8;
    LLVMValueRef args[3] = {a, b, LLVMConstInt(e->be->i64, no_sign, 0)};
    for (int i = 0; i < 2 && !full; i++)
        args[i] = no_sign ? LLVMBuildZExt(e->b, args[i], wide, "")
                          : LLVMBuildSExt(e->b, args[i], wide, "");
    LLVMValueRef power = gml_ll_call(e, "gml_code_int_power", e->be->i64, args, 3, lanes);
    return full ? power : LLVMBuildTrunc(e->b, power, narrow, "");
}

static LLVMIntPredicate int_predicate(gml_scalar_op op, bool no_sign)
{
    switch ((int)op) {
    case GML_X_EQ: return LLVMIntEQ;
    case GML_X_NE: return LLVMIntNE;
    case GML_X_LT: return no_sign ? LLVMIntULT : LLVMIntSLT;
    case GML_X_LE: return no_sign ? LLVMIntULE : LLVMIntSLE;
    case GML_X_GT: return no_sign ? LLVMIntUGT : LLVMIntSGT;
    default: return no_sign ? LLVMIntUGE : LLVMIntSGE;
    }
}

static LLVMValueRef int_extreme(gml_emit *e, bool most, bool no_sign, LLVMValueRef a,
                                LLVMValueRef b)
{
    LLVMIntPredicate less = no_sign ? LLVMIntULT : LLVMIntSLT;
    LLVMValueRef a_less = LLVMBuildICmp(e->b, less, a, b, "");
    return most ? LLVMBuildSelect(e->b, a_less, b, a, "")
                : LLVMBuildSelect(e->b, a_less, a, b, "");
}

static LLVMValueRef int_operator(gml_emit *e, gml_scalar_op op, gml_dtype dtype,
                                 LLVMValueRef const *args, unsigned lanes)
{
    LLVMValueRef a = args[0];
    LLVMValueRef b = args[1];
    bool no_sign = is_unsigned(dtype);
    switch ((int)op) {
    case GML_X_NEG: return LLVMBuildNeg(e->b, a, "");
    case GML_X_ABS:
        return no_sign ? a
                       : LLVMBuildSelect(e->b,
                                         LLVMBuildICmp(e->b, LLVMIntSLT, a, int_like(a, 0), ""),
                                         LLVMBuildNeg(e->b, a, ""), a, "");
    case GML_X_ADD: return LLVMBuildAdd(e->b, a, b, "");
    case GML_X_SUB: return LLVMBuildSub(e->b, a, b, "");
    case GML_X_MUL: return LLVMBuildMul(e->b, a, b, "");
    case GML_X_DIV: return divide(e, QUOTIENT, no_sign, a, b);
    case GML_X_REM: return divide(e, REMAINDER, no_sign, a, b);
    case GML_X_FLOORDIV: return divide(e, FLOOR_QUOTIENT, no_sign, a, b);
    case GML_X_FLOORMOD: return divide(e, FLOOR_REMAINDER, no_sign, a, b);
    case GML_X_POW: return int_power(e, dtype, a, b, lanes);
    case GML_X_MIN: return int_extreme(e, false, no_sign, a, b);
    case GML_X_MAX: return int_extreme(e, true, no_sign, a, b);
    case GML_X_AND: return LLVMBuildAnd(e->b, a, b, "");
    case GML_X_OR: return LLVMBuildOr(e->b, a, b, "");
    case GML_X_XOR: return LLVMBuildXor(e->b, a, b, "");
    case GML_X_NOT: return LLVMBuildNot(e->b, a, "");
    case GML_X_SHL:
    case GML_X_SHR: return shift(e, op, dtype, a, b);
    case GML_X_FLOOR:
    case GML_X_CEIL:
    case GML_X_ROUND:
    case GML_X_TRUNC: return a;
    case GML_X_ISNAN:
    case GML_X_ISINF: return gml_ll_const(e, e->be->i1, 0, lanes);
    default: return LLVMBuildICmp(e->b, int_predicate(op, no_sign), a, b, "");
    }
}

/* ---- floats -------------------------------------------------------------------------------
 */

static LLVMValueRef float_intrinsic(gml_emit *e, const char *name, LLVMValueRef const *args,
                                    unsigned n)
{
    LLVMTypeRef type = LLVMTypeOf(args[0]);
    return gml_ll_intrinsic(e, name, &type, 1, args, n);
}

/* A constant that is no NaN, in all lanes. */
static bool is_number(LLVMValueRef value)
{
    LLVMBool loses = 0;
    if (!LLVMIsConstant(value))
        return false;
    if (LLVMGetTypeKind(LLVMTypeOf(value)) == LLVMVectorTypeKind)
        value = LLVMGetAggregateElement(value, 0);
    if (!value || !LLVMIsAConstantFP(value))
        return false;
    double number = LLVMConstRealGetDouble(value, &loses);
    return number == number;
}

/* LLVM would narrow the operation to the halves that the operands were made from, and LLVM 19's
 * expansion of llvm.maximum on vectors of half loses NaN: a fence keeps it at 32 bits. */
LLVMValueRef gml_emit_extreme(gml_emit *e, bool most, gml_dtype dtype, LLVMValueRef a,
                              LLVMValueRef b)
{
    LLVMValueRef args[2] = {a, b};
    /* against a constant one instruction does: where the comparison fails, NaN included, the
     * other operand is the result */
    for (int i = 0; i < 2; i++)
        if (is_number(args[i])) {
            LLVMRealPredicate better = most ? LLVMRealOGT : LLVMRealOLT;
            LLVMValueRef wins = LLVMBuildFCmp(e->b, better, args[i], args[1 - i], "");
            return LLVMBuildSelect(e->b, wins, args[i], args[1 - i], "");
        }
    for (int i = 0; i < 2 && gml_dtype_size(dtype) < 4; i++)
        args[i] = float_intrinsic(e, "llvm.arithmetic.fence", &args[i], 1);
    return float_intrinsic(e, most ? "llvm.maximum" : "llvm.minimum", args, 2);
}

static const char *const float_intrinsics[GML_SCALAR_COUNT] = {
    [GML_X_ABS] = "llvm.fabs",    [GML_X_FLOOR] = "llvm.floor",     [GML_X_CEIL] = "llvm.ceil",
    [GML_X_TRUNC] = "llvm.trunc", [GML_X_ROUND] = "llvm.roundeven", [GML_X_SQRT] = "llvm.sqrt",
};

/* libm's name for doubles; floats have an f behind. */
static const char *const libm_names[GML_SCALAR_COUNT] = {
    [GML_X_EXP] = "exp",     [GML_X_LOG] = "log",     [GML_X_SIN] = "sin",
    [GML_X_COS] = "cos",     [GML_X_TAN] = "tan",     [GML_X_ASIN] = "asin",
    [GML_X_ACOS] = "acos",   [GML_X_ATAN] = "atan",   [GML_X_SINH] = "sinh",
    [GML_X_COSH] = "cosh",   [GML_X_TANH] = "tanh",   [GML_X_ASINH] = "asinh",
    [GML_X_ACOSH] = "acosh", [GML_X_ATANH] = "atanh", [GML_X_ERF] = "erf",
    [GML_X_POW] = "pow",     [GML_X_REM] = "fmod",
};

static LLVMValueRef libm_call(gml_emit *e, gml_scalar_op op, bool is_double,
                              LLVMValueRef const *args, unsigned lanes)
{
    char room[GML_SUPPORT_NAME_MAX];
    const char *name = gml_support_name(e->be, libm_names[op], is_double, room);
    return gml_ll_call(e, name, is_double ? e->be->f64 : e->be->f32, args,
                       (unsigned)gml_scalar_arity(op), lanes);
}

/* x^2 is x*x, exactly what powf gives. */
static bool is_square(const gml_expr *expr)
{
    const gml_expr *power = expr->as.scalar.args[1];
    return expr->as.scalar.op == GML_X_POW && power->kind == GML_EXPR_CONST &&
           power->as.cst.f == 2;
}

static LLVMValueRef float_operator(gml_emit *e, const gml_expr *expr, gml_dtype dtype,
                                   LLVMValueRef const *args, unsigned lanes)
{
    gml_scalar_op op = expr->as.scalar.op;
    LLVMValueRef a = args[0];
    LLVMValueRef b = args[1];
    switch ((int)op) {
    case GML_X_NEG: return LLVMBuildFNeg(e->b, a, "");
    case GML_X_ADD: return LLVMBuildFAdd(e->b, a, b, "");
    case GML_X_SUB: return LLVMBuildFSub(e->b, a, b, "");
    case GML_X_MUL: return LLVMBuildFMul(e->b, a, b, "");
    case GML_X_DIV: return LLVMBuildFDiv(e->b, a, b, "");
    case GML_X_MIN: return gml_emit_extreme(e, false, dtype, a, b);
    case GML_X_MAX: return gml_emit_extreme(e, true, dtype, a, b);
    case GML_X_EQ: return LLVMBuildFCmp(e->b, LLVMRealOEQ, a, b, "");
    case GML_X_NE: return LLVMBuildFCmp(e->b, LLVMRealUNE, a, b, "");
    case GML_X_LT: return LLVMBuildFCmp(e->b, LLVMRealOLT, a, b, "");
    case GML_X_LE: return LLVMBuildFCmp(e->b, LLVMRealOLE, a, b, "");
    case GML_X_GT: return LLVMBuildFCmp(e->b, LLVMRealOGT, a, b, "");
    case GML_X_GE: return LLVMBuildFCmp(e->b, LLVMRealOGE, a, b, "");
    case GML_X_ISNAN: return LLVMBuildFCmp(e->b, LLVMRealUNO, a, a, "");
    case GML_X_ISINF: {
        LLVMValueRef inf =
            LLVMConstReal(dtype == GML_F64 ? e->be->f64 : e->be->f32, __builtin_inf());
        return LLVMBuildFCmp(e->b, LLVMRealOEQ, float_intrinsic(e, "llvm.fabs", &a, 1),
                             gml_ll_splat(e, inf, lanes), "");
    }
    default: break;
    }
    if (is_square(expr))
        return LLVMBuildFMul(e->b, a, a, "");
    if (float_intrinsics[op])
        return float_intrinsic(e, float_intrinsics[op], args, (unsigned)gml_scalar_arity(op));
    LLVMValueRef own = dtype == GML_F64 ? NULL : gml_emit_math(e, op, a, lanes);
    return own ? own : libm_call(e, op, dtype == GML_F64, args, lanes);
}

/* ---- casts --------------------------------------------------------------------------------
 */

static LLVMValueRef int_to_int(gml_emit *e, gml_dtype to, gml_dtype from, LLVMValueRef value,
                               unsigned lanes)
{
    LLVMTypeRef type = gml_emit_type(e, to, lanes);
    if (to == GML_BOOL)
        return LLVMBuildICmp(e->b, LLVMIntNE, value, LLVMConstNull(LLVMTypeOf(value)), "");
    size_t to_size = gml_dtype_size(to);
    size_t from_size = gml_dtype_size(from);
    if (from == GML_BOOL)
        return LLVMBuildZExt(e->b, value, type, "");
    if (to_size > from_size)
        return is_unsigned(from) ? LLVMBuildZExt(e->b, value, type, "")
                                 : LLVMBuildSExt(e->b, value, type, "");
    if (to_size < from_size)
        value = LLVMBuildTrunc(e->b, value, type, "");
    return wrap(e, to, value);
}

static LLVMValueRef float_to_int(gml_emit *e, gml_dtype to, unsigned flags, LLVMValueRef value,
                                 unsigned lanes)
{
    if (to == GML_BOOL)
        return LLVMBuildFCmp(e->b, LLVMRealUNE, value, LLVMConstNull(LLVMTypeOf(value)), "");
    bool no_sign = to == GML_U64;
    bool clamp = (flags & GML_CAST_CLAMP) && gml_dtype_bits(to) >= 8;
    LLVMTypeRef wide = gml_emit_type(e, clamp ? to : GML_I64, lanes);
    LLVMTypeRef types[2] = {wide, LLVMTypeOf(value)};
    const char *name =
        no_sign || (clamp && is_unsigned(to)) ? "llvm.fptoui.sat" : "llvm.fptosi.sat";
    LLVMValueRef whole = gml_ll_intrinsic(e, name, types, 2, &value, 1);
    if (clamp)
        return whole;
    if (flags & GML_CAST_CLAMP) {
        int64_t high = is_unsigned(to) ? (INT64_C(1) << gml_dtype_bits(to)) - 1
                                       : (INT64_C(1) << (gml_dtype_bits(to) - 1)) - 1;
        int64_t low = is_unsigned(to) ? 0 : -high - 1;
        whole = int_extreme(e, false, false, whole, int_like(whole, high));
        whole = int_extreme(e, true, false, whole, int_like(whole, low));
    }
    return int_to_int(e, to, GML_I64, whole, lanes);
}

static LLVMValueRef to_small_float(gml_emit *e, gml_dtype to, unsigned flags,
                                   LLVMValueRef value, bool from_double, unsigned lanes)
{
    LLVMTypeRef f64 = gml_ll_vector(e->be->f64, lanes);
    if (!from_double && (to == GML_F16 || to == GML_BF16))
        return gml_emit_round(e, to, value, lanes);
    LLVMValueRef args[3] = {LLVMConstInt(e->be->i32, to, 0),
                            from_double ? value : LLVMBuildFPExt(e->b, value, f64, ""),
                            LLVMConstInt(e->be->i32, flags, 0)};
    return gml_ll_call(e, "gml_code_small_cast", e->be->f32, args, 3, lanes);
}

LLVMValueRef gml_emit_cast(gml_emit *e, gml_dtype to, gml_dtype from, unsigned flags,
                           LLVMValueRef value, unsigned lanes)
{
    bool to_int = gml_dtype_lanes(to) == GML_LANE_I64;
    bool from_int = gml_dtype_lanes(from) == GML_LANE_I64;
    if (to == from)
        return value;
    if (to_int && from_int && (flags & GML_CAST_CLAMP)) {
        value = LLVMBuildSIToFP(e->b, value, gml_ll_vector(e->be->f64, lanes), "");
        return float_to_int(e, to, flags, value, lanes);
    }
    if (to_int)
        return from_int ? int_to_int(e, to, from, value, lanes)
                        : float_to_int(e, to, flags, value, lanes);
    bool direct = to == GML_F32 || to == GML_F64;
    if (from_int) {
        LLVMTypeRef type = gml_ll_vector(to == GML_F32 ? e->be->f32 : e->be->f64, lanes);
        value = is_unsigned(from) ? LLVMBuildUIToFP(e->b, value, type, "")
                                  : LLVMBuildSIToFP(e->b, value, type, "");
        return direct ? value : to_small_float(e, to, flags, value, true, lanes);
    }
    if (to == GML_F64)
        return LLVMBuildFPExt(e->b, value, gml_ll_vector(e->be->f64, lanes), "");
    if (to == GML_F32)
        return from == GML_F64
                   ? LLVMBuildFPTrunc(e->b, value, gml_ll_vector(e->be->f32, lanes), "")
                   : value;
    return to_small_float(e, to, flags, value, from == GML_F64, lanes);
}

/* Through the types' bytes: values of narrow floats are floats here. */
static LLVMValueRef bitcast(gml_emit *e, gml_dtype to, gml_dtype from, LLVMValueRef value,
                            unsigned lanes)
{
    return gml_emit_from_bits(e, to, gml_emit_to_bits(e, from, value, lanes), lanes);
}

/* ---- the front ----------------------------------------------------------------------------
 */

LLVMValueRef gml_emit_scalar(gml_emit *e, const gml_expr *expr, LLVMValueRef const *args,
                             unsigned lanes)
{
    gml_scalar_op op = expr->as.scalar.op;
    if (op == GML_X_SELECT)
        return LLVMBuildSelect(e->b, args[0], args[1], args[2], "");
    gml_dtype from = expr->as.scalar.args[0]->dtype;
    if (op == GML_X_CAST)
        return gml_emit_cast(e, expr->dtype, from, expr->as.scalar.flags, args[0], lanes);
    if (op == GML_X_BITCAST)
        return bitcast(e, expr->dtype, from, args[0], lanes);
    if (op == GML_X_FLOORDIV || op == GML_X_FLOORMOD) {
        const gml_expr *const *given = expr->as.scalar.args;
        if (from == GML_I64 && given[0]->lo >= 0 && given[1]->lo > 0)
            return op == GML_X_FLOORDIV ? LLVMBuildUDiv(e->b, args[0], args[1], "")
                                        : LLVMBuildURem(e->b, args[0], args[1], "");
    }
    if (gml_dtype_lanes(from) == GML_LANE_I64)
        return wrap(e, expr->dtype, int_operator(e, op, from, args, lanes));
    LLVMValueRef value = float_operator(e, expr, from, args, lanes);
    return expr->dtype == GML_BOOL ? value : gml_emit_round(e, expr->dtype, value, lanes);
}
