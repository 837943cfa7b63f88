/* base/dim_poly.h - sizes as polynomials, and what is known of their range. Private to
 * base/dim*.c.
 *
 * A polynomial is a sum of terms; a term is a coefficient and a sorted list of atoms: symbols,
 * quotients, remainders, minima, maxima. Terms stand in graded lexicographic order of their
 * atoms, and atoms are compared by structure and name, never by number: so the same expression
 * prints the same in every pool. Functions that return bool return false when a limit is
 * exceeded.
 */
#ifndef GML_BASE_DIM_POLY_H
#define GML_BASE_DIM_POLY_H

#include "base/dim.h"

/* Limits of one expression. A type's element count is a product of GML_MAX_RANK sizes. */
#define GML_DIM_MAX_TERMS  32
#define GML_DIM_MAX_DEGREE 16
#define GML_DIM_MAX_SIZE   256

typedef struct gml_dim_term {
    int64_t coef; /* never 0 in a polynomial */
    uint32_t n_atoms;
    gml_dim atoms[GML_DIM_MAX_DEGREE]; /* rising, with repetition */
} gml_dim_term;

typedef struct gml_dim_poly {
    uint32_t n_terms;
    gml_dim_term terms[GML_DIM_MAX_TERMS]; /* highest degree first, the constant last */
} gml_dim_poly;

/* What is known of a value: lo <= value <= hi. INT64_MIN as `lo` and INT64_MAX as `hi` stand
 * for no bound; a bound beyond the other end is moved inside, which keeps it true. */
typedef struct gml_dim_range {
    int64_t lo, hi;
} gml_dim_range;

static inline const gml_dim_expr *gml_dim_get_expr(const gml_dim_pool *pool, gml_dim dim)
{
    return &pool->exprs.items[gml_dim_index(dim)];
}

static inline uint32_t gml_dim_get_size(const gml_dim_pool *pool, gml_dim dim)
{
    return gml_dim_is_const(dim) ? 1 : gml_dim_get_expr(pool, dim)->size;
}

static inline bool gml_dim_multiply(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out) && gml_dim_is_const(*out);
}

/* b is not 0, and the quotient fits. */
static inline int64_t gml_floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static inline int64_t gml_smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t gml_larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* The expression `a` op `b`, as it is. A fresh symbol when it would be too large. */
gml_dim gml_dim_intern(gml_dim_pool *pool, gml_dim_op op, gml_dim a, gml_dim b);
/* Symbols by name, then expressions by operator and operands, then constants by value. */
int gml_dim_compare(const gml_dim_pool *pool, gml_dim a, gml_dim b);

/* Takes `dim` apart. An expression of the pool always fits: it was made from a polynomial. */
void gml_dim_poly_of(const gml_dim_pool *pool, gml_dim dim, gml_dim_poly *out);
/* The expression again; a fresh symbol when it would be too large. */
gml_dim gml_dim_of_poly(gml_dim_pool *pool, const gml_dim_poly *p);
gml_dim gml_dim_of_term(gml_dim_pool *pool, const gml_dim_term *t);

bool gml_dim_poly_add(const gml_dim_pool *pool, gml_dim_poly *sum, const gml_dim_term *t);
/* Adds `scale` times `other`. */
bool gml_dim_poly_add_scaled(const gml_dim_pool *pool, gml_dim_poly *sum,
                             const gml_dim_poly *other, int64_t scale);
bool gml_dim_term_multiply(const gml_dim_pool *pool, const gml_dim_term *x,
                           const gml_dim_term *y, gml_dim_term *out);
/* Removes the atoms of `y` from those of `x`; false, with `x` untouched, when they are not all
 * there. Coefficients are left alone. */
bool gml_dim_term_remove(gml_dim_term *x, const gml_dim_term *y);

gml_dim_range gml_dim_range_of(const gml_dim_pool *pool, gml_dim dim);
gml_dim_range gml_dim_range_of_poly(const gml_dim_pool *pool, const gml_dim_poly *p);
/* What is known of a - b. */
gml_dim_range gml_dim_range_of_difference(const gml_dim_pool *pool, const gml_dim_poly *a,
                                          const gml_dim_poly *b);

#endif
