/* ir/index.c - bounds and simplification of index expressions.
 *
 * Sums are kept as constant + sum of coefficient * atom (gml_linear). With that, for a constant
 * c, (c*q + r) floordiv c = q   and   (c*q + r) floormod c = r   when 0 <= r < c, which undoes
 * a flatten followed by an unflatten, the pair that a Reshape leaves behind. The same is done
 * for a symbolic divisor where r is an axis of that extent. */
#include "ir/index.h"

#include "ir/scalar.h"

#define GML_UNBOUNDED GML_DIM_LIMIT

static int64_t clamp(int64_t value)
{
    if (value > GML_UNBOUNDED)
        return GML_UNBOUNDED;
    return value < -GML_UNBOUNDED ? -GML_UNBOUNDED : value;
}

/* Adds bounds; unbounded stays unbounded. */
static int64_t add_bound(int64_t a, int64_t b)
{
    if (a == GML_UNBOUNDED || a == -GML_UNBOUNDED)
        return a;
    if (b == GML_UNBOUNDED || b == -GML_UNBOUNDED)
        return b;
    return clamp(a + b); /* both are below 2^61 */
}

static int64_t scale_bound(int64_t a, int64_t factor)
{
    int64_t product = 0;
    if (!__builtin_mul_overflow(a, factor, &product))
        return clamp(product);
    return (a < 0) == (factor < 0) ? GML_UNBOUNDED : -GML_UNBOUNDED;
}

static bool dim_not_negative(const gml_dim_pool *pool, gml_dim dim, int depth)
{
    if (gml_dim_is_const(dim))
        return dim >= 0;
    const gml_dim_expr *expr = &pool->exprs.items[gml_dim_index(dim)];
    if (expr->op == GML_DIM_SYMBOL)
        return true;
    return depth > 0 && dim_not_negative(pool, expr->a, depth - 1) &&
           dim_not_negative(pool, expr->b, depth - 1);
}

static void bound_of_type(gml_expr *expr)
{
    unsigned bits = gml_dtype_bits(expr->dtype);
    expr->lo = -GML_UNBOUNDED;
    expr->hi = GML_UNBOUNDED;
    switch ((int)gml_dtype_get_class(expr->dtype)) {
    case GML_CLASS_BOOL:
        expr->lo = 0;
        expr->hi = 1;
        break;
    case GML_CLASS_UNSIGNED:
        if (bits < 61) {
            expr->lo = 0;
            expr->hi = (INT64_C(1) << bits) - 1;
        }
        break;
    case GML_CLASS_SIGNED:
        if (bits < 61) {
            expr->lo = -(INT64_C(1) << (bits - 1));
            expr->hi = (INT64_C(1) << (bits - 1)) - 1;
        }
        break;
    default: break;
    }
}

static int64_t min4(const int64_t *v)
{
    int64_t least = v[0];
    for (int i = 1; i < 4; i++)
        least = v[i] < least ? v[i] : least;
    return least;
}

static int64_t max4(const int64_t *v)
{
    int64_t most = v[0];
    for (int i = 1; i < 4; i++)
        most = v[i] > most ? v[i] : most;
    return most;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? q - 1 : q;
}

static void bound_product(gml_expr *expr, const gml_expr *a, const gml_expr *b)
{
    bool unbounded = a->lo == -GML_UNBOUNDED || a->hi == GML_UNBOUNDED ||
                     b->lo == -GML_UNBOUNDED || b->hi == GML_UNBOUNDED;
    if (unbounded) {
        if (a->lo >= 0 && b->lo >= 0)
            expr->lo = 0;
        return;
    }
    int64_t corners[4] = {scale_bound(a->lo, b->lo), scale_bound(a->lo, b->hi),
                          scale_bound(a->hi, b->lo), scale_bound(a->hi, b->hi)};
    expr->lo = min4(corners);
    expr->hi = max4(corners);
}

static void bound_scalar(gml_expr *expr)
{
    const gml_expr *a = expr->as.scalar.args[0];
    const gml_expr *b = expr->as.scalar.args[1];
    const gml_expr *c = expr->as.scalar.args[2];
    switch ((int)expr->as.scalar.op) {
    case GML_X_ADD:
        expr->lo = add_bound(a->lo, b->lo);
        expr->hi = add_bound(a->hi, b->hi);
        break;
    case GML_X_SUB:
        expr->lo = add_bound(a->lo, -b->hi);
        expr->hi = add_bound(a->hi, -b->lo);
        break;
    case GML_X_MUL: bound_product(expr, a, b); break;
    case GML_X_MIN:
        expr->lo = a->lo < b->lo ? a->lo : b->lo;
        expr->hi = a->hi < b->hi ? a->hi : b->hi;
        break;
    case GML_X_MAX:
        expr->lo = a->lo > b->lo ? a->lo : b->lo;
        expr->hi = a->hi > b->hi ? a->hi : b->hi;
        break;
    case GML_X_SELECT:
        expr->lo = b->lo < c->lo ? b->lo : c->lo;
        expr->hi = b->hi > c->hi ? b->hi : c->hi;
        break;
    case GML_X_FLOORDIV:
        if (b->lo == b->hi && b->lo > 0) {
            expr->lo = a->lo == -GML_UNBOUNDED ? a->lo : floor_div(a->lo, b->lo);
            expr->hi = a->hi == GML_UNBOUNDED ? a->hi : floor_div(a->hi, b->lo);
        } else if (a->lo >= 0 && b->lo >= 0) {
            expr->lo = 0;
            expr->hi = a->hi;
        }
        break;
    case GML_X_FLOORMOD:
        if (b->lo >= 0) {
            expr->lo = 0;
            expr->hi = b->hi == GML_UNBOUNDED ? b->hi : (b->hi > 0 ? b->hi - 1 : 0);
        }
        break;
    case GML_X_CAST:
        if (gml_dtype_lanes(a->dtype) == GML_LANE_I64 && a->lo >= expr->lo &&
            a->hi <= expr->hi) {
            expr->lo = a->lo;
            expr->hi = a->hi;
        }
        break;
    default: break;
    }
}

static bool is_affine(const gml_expr *expr)
{
    const gml_expr *a = expr->as.scalar.args[0];
    const gml_expr *b = expr->as.scalar.args[1];
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: return true;
    case GML_EXPR_SCALAR: break;
    case GML_EXPR_LOAD:
    case GML_EXPR_REDUCE: return false;
    }
    switch ((int)expr->as.scalar.op) {
    case GML_X_ADD:
    case GML_X_SUB: return a->affine && b->affine;
    case GML_X_MUL: return a->affine && b->affine && (!a->free || !b->free);
    default: return false;
    }
}

void gml_index_bound(const gml_kernel *kernel, gml_expr *expr)
{
    bound_of_type(expr);
    if (expr->dtype != GML_I64 && expr->dtype != GML_BOOL)
        return;
    switch (expr->kind) {
    case GML_EXPR_CONST:
        expr->lo = clamp(expr->as.cst.i);
        expr->hi = expr->lo;
        break;
    case GML_EXPR_DIM:
        if (dim_not_negative(kernel->dims, expr->as.dim, 16))
            expr->lo = 0;
        break;
    case GML_EXPR_AXIS:
        expr->lo = 0;
        if (gml_dim_is_const(expr->as.axis->extent))
            expr->hi = expr->as.axis->extent > 0 ? expr->as.axis->extent - 1 : 0;
        break;
    case GML_EXPR_SCALAR:
        if (expr->dtype == GML_I64)
            bound_scalar(expr);
        break;
    case GML_EXPR_LOAD:
    case GML_EXPR_REDUCE: break;
    }
    expr->affine = expr->dtype == GML_I64 && is_affine(expr);
}

/* ---- linear forms -------------------------------------------------------------------------
 */

static bool add_term(gml_linear *sum, const gml_expr *atom, int64_t coefficient)
{
    unsigned i = 0;
    while (i < sum->n_terms && sum->terms[i].atom->id < atom->id)
        i++;
    if (i < sum->n_terms && sum->terms[i].atom == atom) {
        sum->terms[i].coefficient += coefficient;
        if (sum->terms[i].coefficient == 0) {
            for (sum->n_terms--; i < sum->n_terms; i++)
                sum->terms[i] = sum->terms[i + 1];
        }
        return true;
    }
    if (sum->n_terms == GML_MAX_TERMS)
        return false;
    for (unsigned j = sum->n_terms++; j > i; j--)
        sum->terms[j] = sum->terms[j - 1];
    sum->terms[i].atom = atom;
    sum->terms[i].coefficient = coefficient;
    return true;
}

/* Coefficients are kept small enough that sums of a few of them cannot overflow. */
static bool scaled(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out) && *out > -GML_DIM_LIMIT && *out < GML_DIM_LIMIT;
}

static bool accumulate(gml_linear *sum, const gml_expr *expr, int64_t factor)
{
    int64_t product = 0;
    if (expr->kind == GML_EXPR_CONST) {
        if (!scaled(expr->as.cst.i, factor, &product))
            return false;
        sum->constant += product;
        return sum->constant > -GML_DIM_LIMIT && sum->constant < GML_DIM_LIMIT;
    }
    if (expr->kind == GML_EXPR_SCALAR) {
        const gml_expr *a = expr->as.scalar.args[0];
        const gml_expr *b = expr->as.scalar.args[1];
        if (expr->as.scalar.op == GML_X_ADD)
            return accumulate(sum, a, factor) && accumulate(sum, b, factor);
        if (expr->as.scalar.op == GML_X_SUB)
            return accumulate(sum, a, factor) && accumulate(sum, b, -factor);
        if (expr->as.scalar.op == GML_X_NEG)
            return accumulate(sum, a, -factor);
        if (expr->as.scalar.op == GML_X_MUL && b->kind == GML_EXPR_CONST)
            return scaled(b->as.cst.i, factor, &product) && accumulate(sum, a, product);
    }
    return add_term(sum, expr, factor);
}

bool gml_index_linear(const gml_expr *expr, gml_linear *out_linear)
{
    *out_linear = (gml_linear){0};
    return accumulate(out_linear, expr, 1);
}

static bool is_op(const gml_expr *expr, gml_scalar_op op)
{
    return expr->kind == GML_EXPR_SCALAR && expr->as.scalar.op == op;
}

/* c*W*(x floordiv W) + c*(x floormod W) is c*x: what is left where merged axes are flattened
 * again. */
static bool recombine_once(gml_linear *sum)
{
    for (unsigned i = 0; i < sum->n_terms; i++) {
        const gml_expr *mod = sum->terms[i].atom;
        int64_t c = sum->terms[i].coefficient;
        if (!is_op(mod, GML_X_FLOORMOD))
            continue;
        const gml_expr *x = mod->as.scalar.args[0];
        const gml_expr *w = mod->as.scalar.args[1];
        for (unsigned j = 0; j < sum->n_terms; j++) {
            const gml_expr *div = sum->terms[j].atom;
            int64_t whole = 0;
            if (!is_op(div, GML_X_FLOORDIV) || div->as.scalar.args[0] != x ||
                div->as.scalar.args[1] != w || w->kind != GML_EXPR_CONST ||
                !scaled(w->as.cst.i, c, &whole) || sum->terms[j].coefficient != whole)
                continue;
            gml_linear next = *sum;
            if (!add_term(&next, div, -whole) || !add_term(&next, mod, -c) ||
                !accumulate(&next, x, c))
                return false;
            *sum = next;
            return true;
        }
    }
    return false;
}

static const gml_expr *plain(gml_kernel *kernel, gml_scalar_op op, const gml_expr *a,
                             const gml_expr *b)
{
    const gml_expr *args[3] = {a, b, NULL};
    return gml_expr_plain(kernel, op, GML_I64, 0, args);
}

/* The canonical expression of a linear form. */
static const gml_expr *build(gml_kernel *kernel, const gml_linear *sum)
{
    const gml_expr *expr = NULL;
    for (unsigned i = 0; i < sum->n_terms; i++) {
        const gml_expr *term = sum->terms[i].atom;
        if (sum->terms[i].coefficient != 1)
            term = plain(kernel, GML_X_MUL, term,
                         gml_expr_int(kernel, GML_I64, sum->terms[i].coefficient));
        expr = expr ? plain(kernel, GML_X_ADD, expr, term) : term;
    }
    if (!expr)
        return gml_expr_int(kernel, GML_I64, sum->constant);
    return sum->constant == 0
               ? expr
               : plain(kernel, GML_X_ADD, expr, gml_expr_int(kernel, GML_I64, sum->constant));
}

static bool difference(const gml_expr *a, const gml_expr *b, gml_linear *out)
{
    *out = (gml_linear){0};
    return accumulate(out, a, 1) && accumulate(out, b, -1);
}

static int64_t coefficient_of_dim(const gml_linear *sum, gml_dim dim)
{
    for (unsigned i = 0; i < sum->n_terms; i++)
        if (sum->terms[i].atom->kind == GML_EXPR_DIM && sum->terms[i].atom->as.dim == dim)
            return sum->terms[i].coefficient;
    return 0;
}

/* An upper bound; an axis of symbolic extent D is at most D - 1, which cancels a -D. */
static int64_t upper(const gml_linear *sum)
{
    int64_t bound = sum->constant;
    gml_dim cancelled[GML_MAX_TERMS];
    unsigned n_cancelled = 0;
    for (unsigned i = 0; i < sum->n_terms; i++) {
        const gml_expr *atom = sum->terms[i].atom;
        int64_t c = sum->terms[i].coefficient;
        if (atom->kind == GML_EXPR_AXIS && c > 0 && !gml_dim_is_const(atom->as.axis->extent) &&
            coefficient_of_dim(sum, atom->as.axis->extent) == -c) {
            cancelled[n_cancelled++] = atom->as.axis->extent;
            bound = add_bound(bound, -c);
            continue;
        }
        bool gone = false;
        for (unsigned j = 0; j < n_cancelled && atom->kind == GML_EXPR_DIM; j++)
            gone = gone || cancelled[j] == atom->as.dim;
        if (gone)
            continue;
        /* a DIM that a later axis cancels is looked for ahead */
        for (unsigned j = i + 1; j < sum->n_terms && atom->kind == GML_EXPR_DIM && c < 0; j++) {
            const gml_expr *other = sum->terms[j].atom;
            gone = gone ||
                   (other->kind == GML_EXPR_AXIS && other->as.axis->extent == atom->as.dim &&
                    sum->terms[j].coefficient == -c);
        }
        if (!gone)
            bound = add_bound(bound, scale_bound(c > 0 ? atom->hi : atom->lo, c));
    }
    return bound;
}

static int64_t lower(const gml_linear *sum)
{
    int64_t bound = sum->constant;
    for (unsigned i = 0; i < sum->n_terms; i++) {
        int64_t c = sum->terms[i].coefficient;
        const gml_expr *atom = sum->terms[i].atom;
        bound = add_bound(bound, scale_bound(c > 0 ? atom->lo : atom->hi, c));
    }
    return bound;
}

/* ---- division -----------------------------------------------------------------------------
 */

/* Splits expr = divisor * quotient + rest with 0 <= rest < divisor as far as the bounds show
 * it. */
static bool split(const gml_expr *expr, const gml_expr *divisor, gml_linear *quotient,
                  gml_linear *rest)
{
    gml_linear sum;
    *quotient = (gml_linear){0};
    *rest = (gml_linear){0};
    if (!gml_index_linear(expr, &sum))
        return false;
    if (divisor->kind == GML_EXPR_CONST) {
        int64_t c = divisor->as.cst.i;
        for (unsigned i = 0; i < sum.n_terms; i++) {
            bool whole = sum.terms[i].coefficient % c == 0;
            if (!add_term(whole ? quotient : rest, sum.terms[i].atom,
                          whole ? sum.terms[i].coefficient / c : sum.terms[i].coefficient))
                return false;
        }
        quotient->constant = floor_div(sum.constant, c);
        rest->constant = sum.constant - quotient->constant * c;
        return true;
    }
    for (unsigned i = 0; i < sum.n_terms; i++) {
        const gml_expr *atom = sum.terms[i].atom;
        bool product = atom->kind == GML_EXPR_SCALAR && atom->as.scalar.op == GML_X_MUL &&
                       atom->as.scalar.args[1] == divisor;
        if (atom == divisor)
            quotient->constant += sum.terms[i].coefficient;
        else if (!(product
                       ? accumulate(quotient, atom->as.scalar.args[0], sum.terms[i].coefficient)
                       : add_term(rest, atom, sum.terms[i].coefficient)))
            return false;
    }
    rest->constant = sum.constant;
    return true;
}

static bool is_below(const gml_linear *rest, const gml_expr *divisor)
{
    if (lower(rest) < 0)
        return false;
    if (divisor->kind == GML_EXPR_CONST)
        return upper(rest) < divisor->as.cst.i;
    gml_linear minus = *rest;
    return accumulate(&minus, divisor, -1) && upper(&minus) < 0;
}

static const gml_expr *divide(gml_kernel *kernel, const gml_expr *a, const gml_expr *b)
{
    gml_linear quotient;
    gml_linear rest;
    bool constant = b->kind == GML_EXPR_CONST;
    if ((constant && b->as.cst.i <= 0) || !split(a, b, &quotient, &rest))
        return NULL;
    if (is_below(&rest, b))
        return build(kernel, &quotient);
    if (constant && a->kind == GML_EXPR_SCALAR && a->as.scalar.op == GML_X_FLOORDIV &&
        a->as.scalar.args[1]->kind == GML_EXPR_CONST && a->as.scalar.args[1]->as.cst.i > 0) {
        int64_t product = 0;
        if (scaled(a->as.scalar.args[1]->as.cst.i, b->as.cst.i, &product)) {
            const gml_expr *args[3] = {a->as.scalar.args[0],
                                       gml_expr_int(kernel, GML_I64, product), NULL};
            return gml_expr_scalar(kernel, GML_X_FLOORDIV, GML_I64, 0, args);
        }
    }
    if (!constant || (quotient.n_terms == 0 && quotient.constant == 0))
        return NULL;
    /* the whole part comes out of the division */
    const gml_expr *left = plain(kernel, GML_X_FLOORDIV, build(kernel, &rest), b);
    return accumulate(&quotient, left, 1) ? build(kernel, &quotient) : NULL;
}

static const gml_expr *modulo(gml_kernel *kernel, const gml_expr *a, const gml_expr *b)
{
    gml_linear quotient;
    gml_linear rest;
    bool constant = b->kind == GML_EXPR_CONST;
    if ((constant && b->as.cst.i <= 0) || !split(a, b, &quotient, &rest))
        return NULL;
    if (is_below(&rest, b))
        return build(kernel, &rest);
    if (constant && a->kind == GML_EXPR_SCALAR && a->as.scalar.op == GML_X_FLOORMOD &&
        a->as.scalar.args[1]->kind == GML_EXPR_CONST &&
        a->as.scalar.args[1]->as.cst.i % b->as.cst.i == 0) {
        const gml_expr *args[3] = {a->as.scalar.args[0], b, NULL};
        return gml_expr_scalar(kernel, GML_X_FLOORMOD, GML_I64, 0, args);
    }
    if (quotient.n_terms == 0 && quotient.constant == 0)
        return NULL;
    return plain(kernel, GML_X_FLOORMOD, build(kernel, &rest), b);
}

/* ---- the front ----------------------------------------------------------------------------
 */

static bool as_dim(const gml_expr *expr, gml_dim *out)
{
    if (expr->kind == GML_EXPR_DIM)
        *out = expr->as.dim;
    else if (expr->kind == GML_EXPR_CONST)
        *out = expr->as.cst.i;
    return (expr->kind == GML_EXPR_DIM || expr->kind == GML_EXPR_CONST) &&
           (expr->kind == GML_EXPR_DIM || gml_dim_is_const(*out));
}

static const gml_expr *on_sizes(gml_kernel *kernel, gml_scalar_op op, gml_dim a, gml_dim b)
{
    gml_dim_pool *pool = kernel->dims;
    switch ((int)op) {
    case GML_X_ADD: return gml_expr_dim(kernel, gml_dim_add(pool, a, b));
    case GML_X_SUB: return gml_expr_dim(kernel, gml_dim_sub(pool, a, b));
    case GML_X_MUL: return gml_expr_dim(kernel, gml_dim_mul(pool, a, b));
    case GML_X_FLOORDIV: return b == 0 ? NULL : gml_expr_dim(kernel, gml_dim_div(pool, a, b));
    case GML_X_FLOORMOD: return b == 0 ? NULL : gml_expr_dim(kernel, gml_dim_mod(pool, a, b));
    case GML_X_MIN: return gml_expr_dim(kernel, gml_dim_min(pool, a, b));
    case GML_X_MAX: return gml_expr_dim(kernel, gml_dim_max(pool, a, b));
    default: return NULL;
    }
}

static const gml_expr *truth(gml_kernel *kernel, bool value)
{
    return gml_expr_int(kernel, GML_BOOL, value);
}

static const gml_expr *compare(gml_kernel *kernel, gml_scalar_op op, const gml_expr *a,
                               const gml_expr *b)
{
    gml_linear diff;
    if (op == GML_X_GT || op == GML_X_GE) {
        const gml_expr *args[3] = {b, a, NULL};
        return gml_expr_scalar(kernel, op == GML_X_GT ? GML_X_LT : GML_X_LE, GML_BOOL, 0, args);
    }
    if (!difference(a, b, &diff))
        return NULL;
    int64_t lo = lower(&diff);
    int64_t hi = upper(&diff);
    bool equal = diff.n_terms == 0 && diff.constant == 0;
    switch ((int)op) {
    case GML_X_LT:
        return hi < 0 ? truth(kernel, true) : (lo >= 0 ? truth(kernel, false) : NULL);
    case GML_X_LE:
        return hi <= 0 ? truth(kernel, true) : (lo > 0 ? truth(kernel, false) : NULL);
    case GML_X_EQ:
        return equal ? truth(kernel, true) : (lo > 0 || hi < 0 ? truth(kernel, false) : NULL);
    case GML_X_NE:
        return equal ? truth(kernel, false) : (lo > 0 || hi < 0 ? truth(kernel, true) : NULL);
    default: return NULL;
    }
}

static const gml_expr *least(gml_kernel *kernel, const gml_expr *a, const gml_expr *b, bool max)
{
    (void)kernel;
    gml_linear diff;
    if (!difference(a, b, &diff))
        return NULL;
    if (upper(&diff) <= 0)
        return max ? b : a;
    if (lower(&diff) >= 0)
        return max ? a : b;
    return NULL;
}

static const gml_expr *sum_of(gml_kernel *kernel, gml_scalar_op op, const gml_expr *a,
                              const gml_expr *b)
{
    gml_linear sum = {0};
    bool fits = accumulate(&sum, a, op == GML_X_NEG ? -1 : 1) &&
                (op == GML_X_NEG || accumulate(&sum, b, op == GML_X_SUB ? -1 : 1));
    while (fits && recombine_once(&sum))
        continue;
    return fits ? build(kernel, &sum) : NULL;
}

static const gml_expr *product_of(gml_kernel *kernel, const gml_expr *a, const gml_expr *b)
{
    if (a->kind == GML_EXPR_CONST || (a->kind == GML_EXPR_DIM && b->kind != GML_EXPR_CONST)) {
        const gml_expr *swapped = a;
        a = b;
        b = swapped;
    }
    if (b->kind != GML_EXPR_CONST)
        return a->id > b->id && b->kind != GML_EXPR_DIM ? plain(kernel, GML_X_MUL, b, a)
                                                        : plain(kernel, GML_X_MUL, a, b);
    gml_linear sum = {0};
    return accumulate(&sum, a, b->as.cst.i) ? build(kernel, &sum) : NULL;
}

const gml_expr *gml_index_simplify(gml_kernel *kernel, gml_scalar_op op,
                                   const gml_expr *const *args)
{
    const gml_expr *a = args[0];
    const gml_expr *b = gml_scalar_arity(op) > 1 ? args[1] : NULL;
    gml_dim size_a = 0;
    gml_dim size_b = 0;
    if (b && as_dim(a, &size_a) && as_dim(b, &size_b)) {
        const gml_expr *size = on_sizes(kernel, op, size_a, size_b);
        if (size)
            return size;
    }
    switch ((int)op) {
    case GML_X_ADD:
    case GML_X_SUB:
    case GML_X_NEG: return sum_of(kernel, op, a, b);
    case GML_X_MUL: return product_of(kernel, a, b);
    case GML_X_DIV:
        return a->lo >= 0 && b->lo > 0
                   ? gml_expr_scalar(kernel, GML_X_FLOORDIV, GML_I64, 0, args)
                   : NULL;
    case GML_X_REM:
        return a->lo >= 0 && b->lo > 0
                   ? gml_expr_scalar(kernel, GML_X_FLOORMOD, GML_I64, 0, args)
                   : NULL;
    case GML_X_FLOORDIV: return divide(kernel, a, b);
    case GML_X_FLOORMOD: return modulo(kernel, a, b);
    case GML_X_MIN: return least(kernel, a, b, false);
    case GML_X_MAX: return least(kernel, a, b, true);
    case GML_X_EQ:
    case GML_X_NE:
    case GML_X_LT:
    case GML_X_LE:
    case GML_X_GT:
    case GML_X_GE: return compare(kernel, op, a, b);
    default: return NULL;
    }
}

const gml_expr *gml_index_op(gml_kernel *kernel, gml_scalar_op op, const gml_expr *a,
                             const gml_expr *b)
{
    const gml_expr *args[3] = {a, b, NULL};
    return gml_expr_scalar(kernel, op, GML_I64, 0, args);
}

const gml_expr *gml_index_flat(gml_kernel *kernel, const gml_mem *mem,
                               const gml_expr *const *index)
{
    const gml_expr *flat = gml_expr_int(kernel, GML_I64, 0);
    for (int d = 0; d < mem->rank; d++) {
        flat = gml_index_op(kernel, GML_X_MUL, flat, gml_expr_dim(kernel, mem->dims[d]));
        flat = gml_index_op(kernel, GML_X_ADD, flat, index[d]);
    }
    return flat;
}
