/* base/dim_div.c - quotients and remainders of size expressions.
 *
 * The identities behind division, for any divisor d other than 0:
 *     floor((q d + r) / d) = q + floor(r / d)        (q d + r) mod d = r mod d
 * so every term that holds d, and every multiple of it in a coefficient, comes out. For what is
 * left, with g dividing every coefficient but the constant k, and positive constants c, m:
 *     floor((g p + k) / (g c)) = floor((p + floor(k / g)) / c)
 *     floor((floor(x / m) + k) / c) = floor((x + k m) / (m c))
 *     floor(r / d) = 0 where 0 <= r < d
 */
#include "base/dim.h"
#include "base/dim_poly.h"

/* ---- Quotients and remainders ----------------------------------------------------------- */

/* n = quotient * d + rest, with everything taken out that a division term by term
 * can. */
static bool divide_by_term(const gml_dim_pool *pool, const gml_dim_poly *n,
                           const gml_dim_term *d, gml_dim_poly *quotient, gml_dim_poly *rest)
{
    quotient->n_terms = 0;
    rest->n_terms = 0;
    for (uint32_t i = 0; i < n->n_terms; i++) {
        gml_dim_term kept = n->terms[i];
        gml_dim_term out = n->terms[i];
        out.coef = 0;
        if (gml_dim_term_remove(&out, d)) {
            out.coef = gml_floor_div(kept.coef, d->coef);
            kept.coef -= out.coef * d->coef;
        }
        if (!gml_dim_poly_add(pool, quotient, &out) || !gml_dim_poly_add(pool, rest, &kept))
            return false;
    }
    return true;
}

/* Polynomial long division: true when `d` divides `n` without a rest. */
static bool divide_exactly(const gml_dim_pool *pool, const gml_dim_poly *n,
                           const gml_dim_poly *d, gml_dim_poly *quotient)
{
    gml_dim_poly rest = *n;
    quotient->n_terms = 0;
    for (int step = 0; rest.n_terms != 0; step++) {
        gml_dim_term factor = rest.terms[0];
        if (step == GML_DIM_MAX_TERMS || factor.coef % d->terms[0].coef != 0 ||
            !gml_dim_term_remove(&factor, &d->terms[0]))
            return false;
        factor.coef /= d->terms[0].coef;
        if (!gml_dim_poly_add(pool, quotient, &factor))
            return false;
        factor.coef = -factor.coef;
        for (uint32_t i = 0; i < d->n_terms; i++) {
            gml_dim_term t;
            if (!gml_dim_term_multiply(pool, &factor, &d->terms[i], &t) ||
                !gml_dim_poly_add(pool, &rest, &t))
                return false;
        }
    }
    return true;
}

/* Removes the first atom of `d` that every gml_dim_term of `p` holds from both. */
static bool cancel_atom(const gml_dim_pool *pool, gml_dim_poly *p, gml_dim_term *d)
{
    for (uint32_t i = 0; i < d->n_atoms; i++) {
        gml_dim_term atom = {.coef = 1, .n_atoms = 1, .atoms = {d->atoms[i]}};
        gml_dim_poly less = {0};
        bool everywhere = true;
        for (uint32_t j = 0; j < p->n_terms && everywhere; j++) {
            gml_dim_term t = p->terms[j];
            everywhere = gml_dim_term_remove(&t, &atom) && gml_dim_poly_add(pool, &less, &t);
        }
        if (everywhere) {
            gml_dim_term_remove(d, &atom);
            *p = less;
            return true;
        }
    }
    return false;
}

/* The largest positive number that divides `start` and every coefficient of `p`; the constant's
 * only when asked for. */
static int64_t common_divisor(const gml_dim_poly *p, int64_t start, bool with_constant)
{
    int64_t a = start;
    for (uint32_t i = 0; i < p->n_terms; i++) {
        int64_t b = p->terms[i].coef;
        if (p->terms[i].n_atoms == 0 && !with_constant)
            continue;
        while (b != 0) {
            int64_t r = a % b;
            a = b;
            b = r;
        }
    }
    return a < 0 ? -a : a;
}

/* Divides every coefficient by `divisor`, rounding down. */
static void divide_coefs(gml_dim_poly *p, int64_t divisor)
{
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < p->n_terms; i++) {
        p->terms[i].coef = gml_floor_div(p->terms[i].coef, divisor);
        if (p->terms[i].coef != 0)
            p->terms[n_kept++] = p->terms[i];
    }
    p->n_terms = n_kept;
}

/* floor(rest / d) where nothing more comes out as a whole; the coefficient of `d` is positive.
 */
static gml_dim divide_rest(gml_dim_pool *pool, gml_dim_poly *rest, gml_dim_term d)
{
    if (cancel_atom(pool, rest, &d)) {
        gml_dim numerator = gml_dim_of_poly(pool, rest);
        return gml_dim_div(pool, numerator, gml_dim_of_term(pool, &d));
    }
    int64_t common = common_divisor(rest, d.coef, d.n_atoms != 0);
    divide_coefs(rest, common);
    d.coef /= common;
    gml_dim divisor = gml_dim_of_term(pool, &d);
    if (rest->n_terms == 0 || divisor == 1)
        return gml_dim_of_poly(pool, rest);
    gml_dim_poly whole = {.n_terms = 1, .terms = {d}};
    if (gml_dim_range_of_poly(pool, rest).lo >= 0 &&
        gml_dim_range_of_difference(pool, &whole, rest).lo > 0)
        return 0;
    const gml_dim_term *first = &rest->terms[0];
    bool is_atom = first->n_atoms == 1 && first->coef == 1 &&
                   (rest->n_terms == 1 || rest->terms[1].n_atoms == 0);
    const gml_dim_expr *atom = is_atom ? gml_dim_get_expr(pool, first->atoms[0]) : NULL;
    int64_t product;
    int64_t offset;
    if (is_atom && d.n_atoms == 0 && atom->op == GML_DIM_DIV && gml_dim_is_const(atom->b) &&
        atom->b > 0 && gml_dim_multiply(atom->b, d.coef, &product) &&
        gml_dim_multiply(atom->b, rest->n_terms == 2 ? rest->terms[1].coef : 0, &offset))
        return gml_dim_div(pool, gml_dim_add(pool, atom->a, offset), product);
    return gml_dim_intern(pool, GML_DIM_DIV, gml_dim_of_poly(pool, rest), divisor);
}

/* The remainder of the same division. */
static gml_dim remainder_of_rest(gml_dim_pool *pool, gml_dim_poly *rest, gml_dim_term d)
{
    gml_dim_poly whole = {.n_terms = 1, .terms = {d}};
    if (gml_dim_range_of_poly(pool, rest).lo >= 0 &&
        gml_dim_range_of_difference(pool, &whole, rest).lo > 0)
        return gml_dim_of_poly(pool, rest);
    int64_t common = common_divisor(rest, d.coef, true);
    divide_coefs(rest, common);
    d.coef /= common;
    gml_dim divisor = gml_dim_of_term(pool, &d);
    if (divisor == 1)
        return 0;
    gml_dim remainder = gml_dim_intern(pool, GML_DIM_MOD, gml_dim_of_poly(pool, rest), divisor);
    return gml_dim_mul(pool, remainder, common);
}

gml_dim gml_dim_div(gml_dim_pool *pool, gml_dim a, gml_dim b)
{
    if (b == 0)
        return gml_dim_fresh(pool, "d");
    if (gml_dim_is_const(a) && gml_dim_is_const(b))
        return gml_floor_div(a, b);
    if (a == 0 || b == 1)
        return a;
    if (a == b)
        return 1;
    gml_dim_poly n;
    gml_dim_poly d;
    gml_dim_poly quotient;
    gml_dim_poly rest;
    gml_dim_poly_of(pool, a, &n);
    gml_dim_poly_of(pool, b, &d);
    if (divide_exactly(pool, &n, &d, &quotient))
        return gml_dim_of_poly(pool, &quotient);
    if (d.n_terms > 1)
        return gml_dim_intern(pool, GML_DIM_DIV, a, b);
    if (d.terms[0].coef < 0)
        return gml_dim_div(pool, gml_dim_sub(pool, 0, a), gml_dim_sub(pool, 0, b));
    if (!divide_by_term(pool, &n, &d.terms[0], &quotient, &rest))
        return gml_dim_fresh(pool, "d");
    gml_dim whole = gml_dim_of_poly(pool, &quotient);
    return gml_dim_add(pool, whole, divide_rest(pool, &rest, d.terms[0]));
}

gml_dim gml_dim_ceil_div(gml_dim_pool *pool, gml_dim a, gml_dim b)
{
    /* Rounding up is rounding the negated dividend down, which holds for any divisor's sign;
     * with a positive one the usual form reads better. */
    if (gml_dim_range_of(pool, b).lo >= 0)
        return gml_dim_div(pool, gml_dim_add(pool, a, gml_dim_sub(pool, b, 1)), b);
    return gml_dim_sub(pool, 0, gml_dim_div(pool, gml_dim_sub(pool, 0, a), b));
}

gml_dim gml_dim_mod(gml_dim_pool *pool, gml_dim a, gml_dim b)
{
    if (b == 0)
        return gml_dim_fresh(pool, "d");
    if (gml_dim_is_const(a) && gml_dim_is_const(b))
        return a - gml_floor_div(a, b) * b;
    if (a == 0 || a == b || b == 1)
        return 0;
    gml_dim_poly n;
    gml_dim_poly d;
    gml_dim_poly quotient;
    gml_dim_poly rest;
    gml_dim_poly_of(pool, a, &n);
    gml_dim_poly_of(pool, b, &d);
    if (divide_exactly(pool, &n, &d, &quotient))
        return 0;
    if (d.n_terms > 1)
        return gml_dim_intern(pool, GML_DIM_MOD, a, b);
    if (d.terms[0].coef < 0)
        return gml_dim_sub(pool, 0,
                           gml_dim_mod(pool, gml_dim_sub(pool, 0, a), gml_dim_sub(pool, 0, b)));
    if (!divide_by_term(pool, &n, &d.terms[0], &quotient, &rest))
        return gml_dim_fresh(pool, "d");
    return remainder_of_rest(pool, &rest, d.terms[0]);
}
