/* ir/grad_scalar.c - the gradient of any elementwise operator, from its own formula.
 *
 * `scalar` is asked for its formula over loads that stand for the operands. The formula is
 * differentiated as an expression of loop IR, which folds constants and identities on the way,
 * and what comes out is written as nodes: there is one for every scalar operator. */
#include "ir/grad.h"
#include "ir/lower.h"
#include "ir/ops/build_util.h"

#include <string.h>

typedef struct formula {
    gml_grad *g;
    gml_lower x;
    gml_kernel *kernel;
    const gml_expr *leaves[GML_MAX_SCALAR_OPERANDS]; /* NULL: the operand is absent */
    const gml_expr *whole;                           /* what the node computes */
    unsigned wrt;
    const gml_expr **derivatives; /* by expression id: what is known already */
    bool *known;
    size_t n_known;
    gml_vec(gml_value *) nodes; /* by expression id; NULL: not written yet */
    bool failed;
} formula;

/* ---- derivatives --------------------------------------------------------------------------
 */

static const gml_expr *derive(formula *f, const gml_expr *e);

static const gml_expr *un(formula *f, gml_scalar_op op, const gml_expr *a)
{
    return gml_unary(&f->x, op, a);
}

/* NULL is zero in all of these. */
static const gml_expr *plus(formula *f, const gml_expr *a, const gml_expr *b)
{
    return !a ? b : !b ? a : gml_add(&f->x, a, b);
}

static const gml_expr *minus(formula *f, const gml_expr *a, const gml_expr *b)
{
    return !b ? a : a ? gml_sub(&f->x, a, b) : un(f, GML_X_NEG, b);
}

static const gml_expr *times(formula *f, const gml_expr *a, const gml_expr *b)
{
    return a && b ? gml_mul(&f->x, a, b) : NULL;
}

static const gml_expr *over(formula *f, const gml_expr *a, const gml_expr *b)
{
    return a ? gml_div(&f->x, a, b) : NULL;
}

static const gml_expr *square(formula *f, const gml_expr *a)
{
    return gml_mul(&f->x, a, a);
}

static const gml_expr *like(formula *f, const gml_expr *a, double value)
{
    return gml_like(&f->x, a, value);
}

/* `a` where `cond` holds, else `b`. */
static const gml_expr *either(formula *f, const gml_expr *cond, const gml_expr *a,
                              const gml_expr *b)
{
    if (a == b)
        return a;
    return gml_select(&f->x, cond, a ? a : like(f, b, 0), b ? b : like(f, a, 0));
}

/* The factor that the derivative of a function of one operand multiplies by; `y` is its value.
 */
static const gml_expr *slope(formula *f, gml_scalar_op op, const gml_expr *a, const gml_expr *y)
{
    const gml_expr *one = like(f, a, 1);
    switch ((int)op) {
    case GML_X_SQRT: return over(f, like(f, a, 0.5), y);
    case GML_X_EXP: return y;
    case GML_X_LOG: return over(f, one, a);
    case GML_X_SIN: return un(f, GML_X_COS, a);
    case GML_X_COS: return un(f, GML_X_NEG, un(f, GML_X_SIN, a));
    case GML_X_TAN: return plus(f, one, square(f, y));
    case GML_X_ASIN: return over(f, one, un(f, GML_X_SQRT, minus(f, one, square(f, a))));
    case GML_X_ACOS:
        return over(f, like(f, a, -1), un(f, GML_X_SQRT, minus(f, one, square(f, a))));
    case GML_X_ATAN: return over(f, one, plus(f, one, square(f, a)));
    case GML_X_SINH: return un(f, GML_X_COSH, a);
    case GML_X_COSH: return un(f, GML_X_SINH, a);
    case GML_X_TANH: return minus(f, one, square(f, y));
    case GML_X_ASINH: return over(f, one, un(f, GML_X_SQRT, plus(f, square(f, a), one)));
    case GML_X_ACOSH: return over(f, one, un(f, GML_X_SQRT, minus(f, square(f, a), one)));
    case GML_X_ATANH: return over(f, one, minus(f, one, square(f, a)));
    case GML_X_ERF: /* 2 / sqrt(pi) exp(-a^2) */
        return gml_mul(&f->x, like(f, a, 1.1283791670955125739),
                       un(f, GML_X_EXP, un(f, GML_X_NEG, square(f, a))));
    default: break;
    }
    return NULL;
}

/* a^b: b a^(b - 1) a' + a^b log(a) b', the second part 0 where a is not positive. */
static const gml_expr *derive_power(formula *f, const gml_expr *y, const gml_expr *a,
                                    const gml_expr *b)
{
    const gml_expr *da = derive(f, a);
    const gml_expr *db = derive(f, b);
    if (da) {
        const gml_expr *less = gml_sub(&f->x, b, like(f, b, 1));
        da = times(f, da, gml_mul(&f->x, b, gml_binary(&f->x, GML_X_POW, a, less)));
    }
    if (db) {
        const gml_expr *zero = like(f, a, 0);
        db = times(f, db, gml_mul(&f->x, y, un(f, GML_X_LOG, a)));
        db = either(f, gml_lt(&f->x, zero, a), db, NULL);
    }
    return plus(f, da, db);
}

static const gml_expr *derive_scalar(formula *f, const gml_expr *e)
{
    gml_scalar_op op = e->as.scalar.op;
    const gml_expr *const *a = e->as.scalar.args;
    const gml_expr *d[3] = {NULL};
    if (op == GML_X_POW)
        return derive_power(f, e, a[0], a[1]);
    for (int i = 0; i < gml_scalar_arity(op); i++)
        d[i] = derive(f, a[i]);
    if (!d[0] && !d[1] && !d[2])
        return NULL;
    switch ((int)op) {
    case GML_X_NEG: return minus(f, NULL, d[0]);
    case GML_X_ADD: return plus(f, d[0], d[1]);
    case GML_X_SUB: return minus(f, d[0], d[1]);
    case GML_X_MUL: return plus(f, times(f, d[0], a[1]), times(f, a[0], d[1]));
    case GML_X_DIV: return over(f, minus(f, d[0], times(f, e, d[1])), a[1]);
    case GML_X_REM: /* a - trunc(a / b) b */
        return minus(f, d[0], times(f, un(f, GML_X_TRUNC, gml_div(&f->x, a[0], a[1])), d[1]));
    case GML_X_FLOORMOD:
        return minus(f, d[0], times(f, un(f, GML_X_FLOOR, gml_div(&f->x, a[0], a[1])), d[1]));
    case GML_X_ABS: {
        const gml_expr *zero = like(f, a[0], 0);
        const gml_expr *up = either(f, gml_lt(&f->x, zero, a[0]), d[0], NULL);
        return either(f, gml_lt(&f->x, a[0], zero), minus(f, NULL, d[0]), up);
    }
    case GML_X_MIN: return either(f, gml_lt(&f->x, a[0], a[1]), d[0], d[1]);
    case GML_X_MAX: return either(f, gml_lt(&f->x, a[1], a[0]), d[0], d[1]);
    case GML_X_SELECT: return either(f, a[0], d[1], d[2]);
    case GML_X_CAST:
        return gml_dtype_get_class(e->dtype) == GML_CLASS_FLOAT
                   ? gml_cast(&f->x, d[0], e->dtype)
                   : NULL;
    case GML_X_FLOOR:
    case GML_X_CEIL:
    case GML_X_ROUND:
    case GML_X_TRUNC: return NULL;
    default: break;
    }
    const gml_expr *factor = slope(f, op, a[0], e);
    f->failed |= !factor;
    return times(f, d[0], factor);
}

/* The derivative of `e` by operand `wrt`; NULL is zero. */
static const gml_expr *derive(formula *f, const gml_expr *e)
{
    if (gml_dtype_get_class(e->dtype) != GML_CLASS_FLOAT)
        return NULL;
    if (e == f->leaves[f->wrt])
        return like(f, e, 1);
    if (e->kind != GML_EXPR_SCALAR)
        return NULL;
    if (e->id < f->n_known && f->known[e->id])
        return f->derivatives[e->id];
    const gml_expr *d = derive_scalar(f, e);
    if (e->id < f->n_known) {
        f->known[e->id] = true;
        f->derivatives[e->id] = d;
    }
    return d;
}

/* ---- nodes --------------------------------------------------------------------------------
 */

/* The operator that computes a scalar operator of floats, comparisons and logic. */
static const gml_op_info *op_of(gml_scalar_op op)
{
    static const gml_op_info *const ops[GML_SCALAR_COUNT] = {
        [GML_X_NEG] = &gml_op_neg,      [GML_X_ABS] = &gml_op_abs,
        [GML_X_ADD] = &gml_op_add,      [GML_X_SUB] = &gml_op_sub,
        [GML_X_MUL] = &gml_op_mul,      [GML_X_DIV] = &gml_op_div,
        [GML_X_POW] = &gml_op_pow,      [GML_X_MIN] = &gml_op_min,
        [GML_X_MAX] = &gml_op_max,      [GML_X_AND] = &gml_op_and,
        [GML_X_OR] = &gml_op_or,        [GML_X_XOR] = &gml_op_xor,
        [GML_X_NOT] = &gml_op_not,      [GML_X_EQ] = &gml_op_equal,
        [GML_X_LT] = &gml_op_less,      [GML_X_LE] = &gml_op_lessorequal,
        [GML_X_GT] = &gml_op_greater,   [GML_X_GE] = &gml_op_greaterorequal,
        [GML_X_SELECT] = &gml_op_where, [GML_X_FLOOR] = &gml_op_floor,
        [GML_X_CEIL] = &gml_op_ceil,    [GML_X_ROUND] = &gml_op_round,
        [GML_X_SQRT] = &gml_op_sqrt,    [GML_X_EXP] = &gml_op_exp,
        [GML_X_LOG] = &gml_op_log,      [GML_X_SIN] = &gml_op_sin,
        [GML_X_COS] = &gml_op_cos,      [GML_X_TAN] = &gml_op_tan,
        [GML_X_ASIN] = &gml_op_asin,    [GML_X_ACOS] = &gml_op_acos,
        [GML_X_ATAN] = &gml_op_atan,    [GML_X_SINH] = &gml_op_sinh,
        [GML_X_COSH] = &gml_op_cosh,    [GML_X_TANH] = &gml_op_tanh,
        [GML_X_ASINH] = &gml_op_asinh,  [GML_X_ACOSH] = &gml_op_acosh,
        [GML_X_ATANH] = &gml_op_atanh,  [GML_X_ERF] = &gml_op_erf,
        [GML_X_ISNAN] = &gml_op_isnan,  [GML_X_ISINF] = &gml_op_isinf,
    };
    return ops[op];
}

static gml_value *write(formula *f, const gml_expr *e);

static gml_value *write_scalar(formula *f, const gml_expr *e)
{
    gml_build *b = &f->g->b;
    gml_scalar_op op = e->as.scalar.op;
    gml_value *args[3] = {NULL};
    for (int i = 0; i < gml_scalar_arity(op); i++) {
        args[i] = write(f, e->as.scalar.args[i]);
        if (!args[i])
            return NULL;
    }
    if (op == GML_X_CAST && !e->as.scalar.flags)
        return gml_build_cast(b, args[0], e->dtype);
    if (op == GML_X_NE)
        return gml_build_unary(b, &gml_op_not,
                               gml_build_binary(b, &gml_op_equal, args[0], args[1]));
    if (op == GML_X_TRUNC) {
        gml_value *below =
            gml_build_binary(b, &gml_op_less, args[0], gml_build_scalar(b, e->dtype, 0));
        return gml_build_where(b, below, gml_build_unary(b, &gml_op_ceil, args[0]),
                               gml_build_unary(b, &gml_op_floor, args[0]));
    }
    const gml_op_info *info = op_of(op);
    return info ? gml_build_op(b, info, args, (uint32_t)gml_scalar_arity(op), NULL, 0) : NULL;
}

/* The value of `e`; NULL when no node says it. */
static gml_value *write(formula *f, const gml_expr *e)
{
    while (f->nodes.count <= e->id)
        gml_push(f->g->scratch, &f->nodes, NULL);
    gml_value *value = f->nodes.items[e->id];
    if (e == f->whole)
        value = &f->g->node->results[0];
    for (unsigned k = 0; k < f->g->node->n_operands && !value; k++)
        if (f->leaves[k] == e)
            value = f->g->node->operands[k];
    if (!value && e->kind == GML_EXPR_CONST)
        value = gml_build_scalar(&f->g->b, e->dtype,
                                 gml_dtype_get_class(e->dtype) == GML_CLASS_FLOAT
                                     ? e->as.cst.f
                                     : (double)e->as.cst.i);
    if (!value && e->kind == GML_EXPR_SCALAR)
        value = write_scalar(f, e);
    f->nodes.items[e->id] = value;
    return value;
}

/* ---- one node -----------------------------------------------------------------------------
 */

static const gml_expr *read_formula(formula *f)
{
    const gml_node *node = f->g->node;
    f->kernel = gml_kernel_create(f->g->scratch, &node->graph->module->dims, "gradient");
    f->x = (gml_lower){.kernel = f->kernel, .node = node};
    for (unsigned k = 0; k < node->n_operands; k++) {
        if (!gml_has_operand(node, k))
            continue;
        const gml_mem *mem = gml_kernel_add_mem(f->kernel, GML_MEM_INPUT, "x",
                                                node->operands[k]->type.dtype, 0, NULL);
        f->leaves[k] = gml_expr_load(f->kernel, mem, NULL, NULL);
    }
    return node->op->scalar(&f->x, node, f->leaves);
}

static gml_status grad_operand(formula *f, unsigned k)
{
    gml_grad *g = f->g;
    f->wrt = k;
    f->n_known = f->kernel->exprs.count;
    f->derivatives = gml_new_array(g->scratch, const gml_expr *, f->n_known + 1);
    f->known = gml_new_array(g->scratch, bool, f->n_known + 1);
    const gml_expr *d = derive(f, f->whole);
    if (!d)
        return GML_OK;
    gml_value *dy = g->results[0];
    bool is_one = d->kind == GML_EXPR_CONST && d->as.cst.f == 1;
    gml_value *factor = is_one || f->failed ? NULL : write(f, d);
    if (f->failed || (!is_one && !factor))
        return gml_fail(g->b.diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the formula of %s has no derivative by operand %u", g->node->op->name,
                        k);
    g->operands[k] = is_one ? dy : gml_build_mul(&g->b, dy, factor);
    return g->b.status;
}

gml_status gml_grad_scalar(gml_grad *g)
{
    formula f = {.g = g};
    const gml_node *node = g->node;
    f.whole = read_formula(&f);
    for (unsigned k = 0; k < node->n_operands; k++)
        if (g->wanted[k] && g->results[0])
            GML_TRY(grad_operand(&f, k));
    return GML_OK;
}
