#include "base/dim_poly.h"

#include "base/diag.h"

#include <string.h>

/* ---- Order ------------------------------------------------------------------------------ */

int gml_dim_compare(const gml_dim_pool *pool, gml_dim a, gml_dim b)
{
    if (a == b)
        return 0;
    if (gml_dim_is_const(a) || gml_dim_is_const(b)) {
        if (gml_dim_is_const(a) != gml_dim_is_const(b))
            return gml_dim_is_const(a) ? 1 : -1;
        return a < b ? -1 : 1;
    }
    const gml_dim_expr *x = gml_dim_get_expr(pool, a);
    const gml_dim_expr *y = gml_dim_get_expr(pool, b);
    if (x->op != y->op)
        return x->op < y->op ? -1 : 1;
    if (x->op == GML_DIM_SYMBOL)
        return strcmp(x->name, y->name);
    int first = gml_dim_compare(pool, x->a, y->a);
    return first != 0 ? first : gml_dim_compare(pool, x->b, y->b);
}

/* Graded lexicographic: negative when `x` stands before `y` in a sum. */
static int compare_terms(const gml_dim_pool *pool, const gml_dim_term *x, const gml_dim_term *y)
{
    if (x->n_atoms != y->n_atoms)
        return x->n_atoms > y->n_atoms ? -1 : 1;
    for (uint32_t i = 0; i < x->n_atoms; i++) {
        int order = gml_dim_compare(pool, x->atoms[i], y->atoms[i]);
        if (order != 0)
            return order;
    }
    return 0;
}

/* ---- Polynomials. All return false when a limit is exceeded. ---------------------------- */

bool gml_dim_poly_add(const gml_dim_pool *pool, gml_dim_poly *sum, const gml_dim_term *t)
{
    if (t->coef == 0)
        return true;
    uint32_t at = 0;
    int order = 1;
    while (at < sum->n_terms && (order = compare_terms(pool, t, &sum->terms[at])) > 0)
        at++;
    size_t n_after = sum->n_terms - at;
    if (at < sum->n_terms && order == 0) {
        sum->terms[at].coef += t->coef; /* both below 2^61 */
        if (sum->terms[at].coef == 0) {
            memmove(&sum->terms[at], &sum->terms[at + 1], (n_after - 1) * sizeof(gml_dim_term));
            sum->n_terms--;
            return true;
        }
        return gml_dim_is_const(sum->terms[at].coef);
    }
    if (sum->n_terms == GML_DIM_MAX_TERMS)
        return false;
    memmove(&sum->terms[at + 1], &sum->terms[at], n_after * sizeof(gml_dim_term));
    sum->terms[at] = *t;
    sum->n_terms++;
    return true;
}

bool gml_dim_poly_add_scaled(const gml_dim_pool *pool, gml_dim_poly *sum,
                             const gml_dim_poly *other, int64_t scale)
{
    for (uint32_t i = 0; i < other->n_terms; i++) {
        gml_dim_term t = other->terms[i];
        if (!gml_dim_multiply(t.coef, scale, &t.coef) || !gml_dim_poly_add(pool, sum, &t))
            return false;
    }
    return true;
}

bool gml_dim_term_multiply(const gml_dim_pool *pool, const gml_dim_term *x,
                           const gml_dim_term *y, gml_dim_term *out)
{
    if (x->n_atoms + y->n_atoms > GML_DIM_MAX_DEGREE)
        return false;
    *out = (gml_dim_term){.n_atoms = x->n_atoms + y->n_atoms};
    uint32_t i = 0;
    uint32_t j = 0;
    for (uint32_t n = 0; n < out->n_atoms; n++) {
        bool take_x = j == y->n_atoms ||
                      (i < x->n_atoms && gml_dim_compare(pool, x->atoms[i], y->atoms[j]) <= 0);
        out->atoms[n] = take_x ? x->atoms[i++] : y->atoms[j++];
    }
    return gml_dim_multiply(x->coef, y->coef, &out->coef);
}

bool gml_dim_term_remove(gml_dim_term *x, const gml_dim_term *y)
{
    gml_dim_term left = {.coef = x->coef};
    uint32_t j = 0;
    for (uint32_t i = 0; i < x->n_atoms; i++) {
        if (j < y->n_atoms && x->atoms[i] == y->atoms[j])
            j++;
        else
            left.atoms[left.n_atoms++] = x->atoms[i];
    }
    if (j < y->n_atoms)
        return false;
    *x = left;
    return true;
}

void gml_dim_poly_of(const gml_dim_pool *pool, gml_dim dim, gml_dim_poly *out)
{
    out->n_terms = 0;
    gml_dim rest = dim;
    for (bool last = false; !last;) {
        gml_dim part = rest;
        last = gml_dim_is_const(rest) || gml_dim_get_expr(pool, rest)->op != GML_DIM_ADD;
        if (!last) {
            part = gml_dim_get_expr(pool, rest)->b;
            rest = gml_dim_get_expr(pool, rest)->a;
        }
        gml_dim_term t = {.coef = 1};
        while (!gml_dim_is_const(part) && gml_dim_get_expr(pool, part)->op == GML_DIM_MUL) {
            gml_dim factor = gml_dim_get_expr(pool, part)->b;
            if (gml_dim_is_const(factor))
                t.coef = factor;
            else
                t.atoms[GML_DIM_MAX_DEGREE - ++t.n_atoms] = factor;
            part = gml_dim_get_expr(pool, part)->a;
        }
        if (gml_dim_is_const(part))
            t.coef = part;
        else
            t.atoms[GML_DIM_MAX_DEGREE - ++t.n_atoms] = part;
        memmove(t.atoms, t.atoms + GML_DIM_MAX_DEGREE - t.n_atoms, t.n_atoms * sizeof(gml_dim));
        if (!gml_dim_poly_add(pool, out, &t))
            GML_BUG("a size expression beyond its own limits");
    }
}

gml_dim gml_dim_of_term(gml_dim_pool *pool, const gml_dim_term *t)
{
    if (t->n_atoms == 0)
        return t->coef;
    gml_dim product = t->atoms[0];
    for (uint32_t i = 1; i < t->n_atoms; i++)
        product = gml_dim_intern(pool, GML_DIM_MUL, product, t->atoms[i]);
    return t->coef == 1 ? product : gml_dim_intern(pool, GML_DIM_MUL, product, t->coef);
}

gml_dim gml_dim_of_poly(gml_dim_pool *pool, const gml_dim_poly *p)
{
    if (p->n_terms == 0)
        return 0;
    /* The size is known before anything is made, so that no part becomes a symbol by itself. */
    size_t size = 2 * (size_t)p->n_terms;
    for (uint32_t i = 0; i < p->n_terms; i++) {
        for (uint32_t j = 0; j < p->terms[i].n_atoms; j++)
            size += 1 + gml_dim_get_size(pool, p->terms[i].atoms[j]);
    }
    if (size > GML_DIM_MAX_SIZE)
        return gml_dim_fresh(pool, "d");
    gml_dim sum = gml_dim_of_term(pool, &p->terms[0]);
    for (uint32_t i = 1; i < p->n_terms; i++)
        sum = gml_dim_intern(pool, GML_DIM_ADD, sum, gml_dim_of_term(pool, &p->terms[i]));
    return sum;
}

/* ---- Ranges ----------------------------------------------------------------------------- */

static gml_dim_range make_range(int64_t lo, int64_t hi)
{
    return (gml_dim_range){lo == INT64_MAX ? lo - 1 : lo, hi == INT64_MIN ? hi + 1 : hi};
}

static int64_t saturating_add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (a < 0 ? INT64_MIN : INT64_MAX) : sum;
}

static gml_dim_range range_add(gml_dim_range a, gml_dim_range b)
{
    bool no_lo = a.lo == INT64_MIN || b.lo == INT64_MIN;
    bool no_hi = a.hi == INT64_MAX || b.hi == INT64_MAX;
    return make_range(no_lo ? INT64_MIN : saturating_add(a.lo, b.lo),
                      no_hi ? INT64_MAX : saturating_add(a.hi, b.hi));
}

static int64_t saturating_mul(int64_t a, int64_t b)
{
    int64_t product;
    if (a == 0 || b == 0)
        return 0;
    bool infinite = a == INT64_MIN || a == INT64_MAX || b == INT64_MIN || b == INT64_MAX;
    if (infinite || __builtin_mul_overflow(a, b, &product))
        return (a < 0) != (b < 0) ? INT64_MIN : INT64_MAX;
    return product;
}

static gml_dim_range range_mul(gml_dim_range a, gml_dim_range b)
{
    int64_t ll = saturating_mul(a.lo, b.lo);
    int64_t lh = saturating_mul(a.lo, b.hi);
    int64_t hl = saturating_mul(a.hi, b.lo);
    int64_t hh = saturating_mul(a.hi, b.hi);
    return make_range(gml_smaller(gml_smaller(ll, lh), gml_smaller(hl, hh)),
                      gml_larger(gml_larger(ll, lh), gml_larger(hl, hh)));
}

static gml_dim_range range_div(gml_dim_range a, gml_dim_range b)
{
    if (b.lo < 0 || b.hi < 1)
        return (gml_dim_range){INT64_MIN, INT64_MAX};
    int64_t least = gml_larger(b.lo, 1);
    /* The quotient is furthest from 0 at the smallest divisor, nearest at the largest. */
    int64_t for_lo = a.lo < 0 ? least : b.hi;
    int64_t for_hi = a.hi < 0 ? b.hi : least;
    return (gml_dim_range){a.lo == INT64_MIN ? INT64_MIN : gml_floor_div(a.lo, for_lo),
                           a.hi == INT64_MAX ? INT64_MAX : gml_floor_div(a.hi, for_hi)};
}

gml_dim_range gml_dim_range_of(const gml_dim_pool *pool, gml_dim dim)
{
    if (gml_dim_is_const(dim))
        return (gml_dim_range){dim, dim};
    const gml_dim_expr *expr = gml_dim_get_expr(pool, dim);
    if (expr->op == GML_DIM_SYMBOL)
        return (gml_dim_range){0, INT64_MAX};
    gml_dim_range a = gml_dim_range_of(pool, expr->a);
    gml_dim_range b = gml_dim_range_of(pool, expr->b);
    switch (expr->op) {
    case GML_DIM_SYMBOL: break;
    case GML_DIM_ADD: return range_add(a, b);
    case GML_DIM_MUL: return range_mul(a, b);
    case GML_DIM_DIV: return range_div(a, b);
    case GML_DIM_MOD:
        if (b.lo < 0)
            break;
        b.hi = b.hi == INT64_MAX ? b.hi : gml_larger(b.hi - 1, 0);
        return (gml_dim_range){0, a.lo < 0 ? b.hi : gml_smaller(a.hi, b.hi)};
    case GML_DIM_MIN: return (gml_dim_range){gml_smaller(a.lo, b.lo), gml_smaller(a.hi, b.hi)};
    case GML_DIM_MAX: return (gml_dim_range){gml_larger(a.lo, b.lo), gml_larger(a.hi, b.hi)};
    }
    return (gml_dim_range){INT64_MIN, INT64_MAX};
}

gml_dim_range gml_dim_range_of_poly(const gml_dim_pool *pool, const gml_dim_poly *p)
{
    gml_dim_range sum = {0, 0};
    for (uint32_t i = 0; i < p->n_terms; i++) {
        gml_dim_range product = {p->terms[i].coef, p->terms[i].coef};
        for (uint32_t j = 0; j < p->terms[i].n_atoms; j++)
            product = range_mul(product, gml_dim_range_of(pool, p->terms[i].atoms[j]));
        sum = range_add(sum, product);
    }
    return sum;
}

gml_dim_range gml_dim_range_of_difference(const gml_dim_pool *pool, const gml_dim_poly *a,
                                          const gml_dim_poly *b)
{
    gml_dim_poly difference = *a;
    if (!gml_dim_poly_add_scaled(pool, &difference, b, -1))
        return (gml_dim_range){INT64_MIN, INT64_MAX};
    return gml_dim_range_of_poly(pool, &difference);
}
