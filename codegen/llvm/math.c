/* codegen/llvm/math.c - mathematical functions of f32 lanes, as arithmetic.
 *
 * Polynomials fitted for this file (weighted least squares, reweighted towards minimax). The
 * errors are the largest against double precision over the ranges and samples of
 * tests/unit/test_math.c, which asserts them: exp   2^n * (1 + r + r^2 P(r)),  r = x - n ln 2
 * 1.1 ulp log   n ln 2 + f - f^2/2 + f^3 P(f),  f = m - 1           0.8 ulp erf   x + x P(x^2)
 * below 0.9, 1 - exp(P(x)) above         1.2 ulp tanh  x + x^3 P(x^2) below 0.625, 1 -
 * 2/(exp(2x)+1)       1.3 ulp NaN stays NaN; exp and log have the limits of C. Others are
 * libm's, lane by lane. */
#include "codegen/llvm/emit.h"

#include <string.h>

typedef LLVMValueRef val;

typedef struct math {
    gml_emit *e;
    unsigned lanes;
} math;

static val num(math *m, double value)
{
    return gml_ll_float(m->e, value, m->lanes);
}

static val bits(math *m, int64_t value)
{
    return gml_ll_const(m->e, m->e->be->i32, value, m->lanes);
}

static val as_int(math *m, val x)
{
    return LLVMBuildBitCast(m->e->b, x, gml_ll_vector(m->e->be->i32, m->lanes), "");
}

static val as_float(math *m, val x)
{
    return LLVMBuildBitCast(m->e->b, x, gml_ll_vector(m->e->be->f32, m->lanes), "");
}

static val choose(math *m, LLVMRealPredicate predicate, val a, val b, val yes, val no)
{
    return LLVMBuildSelect(m->e->b, LLVMBuildFCmp(m->e->b, predicate, a, b, ""), yes, no, "");
}

/* c[0] + x (c[1] + x (c[2] + …)) */
static val polynomial(math *m, val x, const double *c, unsigned n)
{
    val sum = num(m, c[n - 1]);
    for (unsigned i = n - 1; i-- > 0;)
        sum = gml_ll_fma(m->e, sum, x, num(m, c[i]));
    return sum;
}

static val absolute(math *m, val x)
{
    return as_float(m, LLVMBuildAnd(m->e->b, as_int(m, x), bits(m, 0x7fffffff), ""));
}

static val with_sign_of(math *m, val x, val sign)
{
    val s = LLVMBuildAnd(m->e->b, as_int(m, sign), bits(m, (int64_t)0x80000000), "");
    return as_float(m, LLVMBuildOr(m->e->b, as_int(m, x), s, ""));
}

/* 2^n for an integer n in -127 … 128 given as float bits arithmetic. */
static val power_of_two(math *m, val n)
{
    val biased = LLVMBuildAdd(m->e->b, n, bits(m, 127), "");
    return as_float(m, LLVMBuildShl(m->e->b, biased, bits(m, 23), ""));
}

static val emit_exp(math *m, val x)
{
    static const double p[] = {0.500000003, 0.166665734, 0.0416663634, 0.00836377614,
                               0.00139421624};
    LLVMBuilderRef b = m->e->b;
    /* outside, the result is 0 or inf already; comparisons keep NaN */
    x = choose(m, LLVMRealOGT, x, num(m, 89), num(m, 89), x);
    x = choose(m, LLVMRealOLT, x, num(m, -104), num(m, -104), x);
    /* adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits */
    val magic = num(m, 12582912);
    val t = gml_ll_fma(m->e, x, num(m, 1.4426950408889634), magic);
    val n = LLVMBuildFSub(b, t, magic, "");
    val r = gml_ll_fma(m->e, n, num(m, -0.693145751953125), x);
    r = gml_ll_fma(m->e, n, num(m, -1.42860682030941723e-6), r);
    val q = polynomial(m, r, p, 5);
    val rr = LLVMBuildFMul(b, r, r, "");
    val y = LLVMBuildFAdd(b, gml_ll_fma(m->e, q, rr, r), num(m, 1), "");
    /* 2^n in two steps reaches denormals and infinity */
    val whole = LLVMBuildSub(b, as_int(m, t), bits(m, 0x4b400000), "");
    val half = LLVMBuildAShr(b, whole, bits(m, 1), "");
    val rest = LLVMBuildSub(b, whole, half, "");
    y = LLVMBuildFMul(b, y, power_of_two(m, half), "");
    return LLVMBuildFMul(b, y, power_of_two(m, rest), "");
}

static val emit_log(math *m, val x)
{
    static const double p[] = {0.333333098,  -0.249999853, 0.20002273,
                               -0.166693568, 0.142177183,  -0.123818057,
                               0.118778968,  -0.118078569, 0.0692589984};
    LLVMBuilderRef b = m->e->b;
    val tiny = LLVMBuildFCmp(b, LLVMRealOLT, x, num(m, 1.17549435e-38), "");
    val scaled = LLVMBuildSelect(b, tiny, LLVMBuildFMul(b, x, num(m, 8388608), ""), x, "");
    val raw = as_int(m, scaled);
    /* the mantissa in [sqrt(1/2), sqrt(2)) */
    val shifted = LLVMBuildSub(b, raw, bits(m, 0x3f3504f3), "");
    val exponent = LLVMBuildAShr(b, shifted, bits(m, 23), "");
    val mantissa =
        as_float(m, LLVMBuildSub(b, raw, LLVMBuildShl(b, exponent, bits(m, 23), ""), ""));
    val n = LLVMBuildSIToFP(b, exponent, gml_ll_vector(m->e->be->f32, m->lanes), "");
    n = LLVMBuildSelect(b, tiny, LLVMBuildFSub(b, n, num(m, 23), ""), n, "");
    val f = LLVMBuildFSub(b, mantissa, num(m, 1), "");
    val ff = LLVMBuildFMul(b, f, f, "");
    val q = LLVMBuildFMul(b, polynomial(m, f, p, 9), f, "");
    val y = gml_ll_fma(m->e, q, ff, LLVMBuildFMul(b, n, num(m, -2.12194440054690583e-4), ""));
    y = gml_ll_fma(m->e, ff, num(m, -0.5), y);
    y = LLVMBuildFAdd(b, f, y, "");
    y = gml_ll_fma(m->e, n, num(m, 0.693359375), y);
    y = choose(m, LLVMRealOEQ, x, num(m, 0), num(m, -__builtin_inf()), y);
    y = choose(m, LLVMRealOEQ, x, num(m, __builtin_inf()), x, y);
    return choose(m, LLVMRealULT, x, num(m, 0), num(m, __builtin_nan("")), y);
}

static val emit_erf(math *m, val x)
{
    static const double small[] = {0.128379167,   -0.376126353,    0.112837197,   -0.0268607528,
                                   0.00520443604, -0.000818192749, 8.53884001e-05};
    static const double large[] = {0.000169204594, -1.1294884,     -0.633400857,
                                   -0.108220377,   0.0250806116,   -0.00415625293,
                                   0.000431393127, -2.08285779e-05};
    LLVMBuilderRef b = m->e->b;
    val t = absolute(m, x);
    val near = gml_ll_fma(m->e, polynomial(m, LLVMBuildFMul(b, x, x, ""), small, 7), x, x);
    val u = choose(m, LLVMRealOGT, t, num(m, 4), num(m, 4), t);
    val far = LLVMBuildFSub(b, num(m, 1), emit_exp(m, polynomial(m, u, large, 8)), "");
    return choose(m, LLVMRealOLT, t, num(m, 0.9), near, with_sign_of(m, far, x));
}

static val emit_tanh(math *m, val x)
{
    static const double small[] = {-0.333333267, 0.133325389,    -0.0538130604,
                                   0.0207916278, -0.00567990978, -0.000247457133};
    LLVMBuilderRef b = m->e->b;
    val t = absolute(m, x);
    val xx = LLVMBuildFMul(b, x, x, "");
    val near = gml_ll_fma(m->e, LLVMBuildFMul(b, polynomial(m, xx, small, 6), xx, ""), x, x);
    val up = emit_exp(m, LLVMBuildFAdd(b, t, t, ""));
    val far = LLVMBuildFSub(
        b, num(m, 1), LLVMBuildFDiv(b, num(m, 2), LLVMBuildFAdd(b, up, num(m, 1), ""), ""), "");
    return choose(m, LLVMRealOLT, t, num(m, 0.625), near, with_sign_of(m, far, x));
}

LLVMValueRef gml_emit_math(gml_emit *e, gml_scalar_op op, LLVMValueRef x, unsigned lanes)
{
    math m = {e, lanes};
    switch ((int)op) {
    case GML_X_EXP: return emit_exp(&m, x);
    case GML_X_LOG: return emit_log(&m, x);
    case GML_X_ERF: return emit_erf(&m, x);
    case GML_X_TANH: return emit_tanh(&m, x);
    default: return NULL;
    }
}
