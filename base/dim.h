/* base/dim.h - sizes that may be unknown until a program runs.
 *
 * A gml_dim is an integer: itself when it is constant, or an expression over symbols ("batch",
 * "batch * 197"). Expressions are interned in a pool and simplified on the way in, so that
 * equal handles mean equal sizes. Unequal handles mean "not known to be equal".
 *
 * An expression is kept as a sum of products, each product's constant and the sum's constant
 * last, in an order that depends on names only. Divisions and remainders take out whatever is
 * provably exact; a divisor is taken to be other than 0.
 *
 * The arithmetic is exact; a result outside the constant range, and an expression that would be
 * too large, becomes a fresh unknown symbol, and gml_type_check refuses types whose size in
 * bytes overflows. The pool's memory is its arena's. Not thread-safe.
 */
#ifndef GML_BASE_DIM_H
#define GML_BASE_DIM_H

#include "base/arena.h"
#include "base/map.h"
#include "base/str.h"

typedef int64_t gml_dim;

/* Constants lie strictly between -GML_DIM_LIMIT and GML_DIM_LIMIT; below are expressions. */
#define GML_DIM_LIMIT ((int64_t)1 << 61)

typedef enum gml_dim_op {
    GML_DIM_SYMBOL, /* a named unknown, not negative */
    GML_DIM_ADD,
    GML_DIM_MUL,
    GML_DIM_DIV, /* rounds towards minus infinity */
    GML_DIM_MOD, /* the remainder of that division */
    GML_DIM_MIN,
    GML_DIM_MAX,
} gml_dim_op;

typedef struct gml_dim_expr {
    gml_dim_op op;
    const char *name; /* of a symbol, unique in the pool */
    gml_dim a, b;     /* operands otherwise */
    uint32_t size;    /* constants and operators in it; bounds every recursion over it */
} gml_dim_expr;

typedef struct gml_dim_pool {
    gml_arena *arena;
    gml_vec(gml_dim_expr) exprs; /* operands come before their users */
    gml_map symbols;             /* name -> expression number + 1 */
    uint32_t *slots;             /* hash table of (op, a, b): expression number + 1, or 0 */
    size_t n_slots;              /* a power of two, or 0 */
    unsigned n_fresh;
} gml_dim_pool;

void gml_dim_pool_init(gml_dim_pool *pool, gml_arena *arena);

static inline bool gml_dim_is_const(gml_dim dim)
{
    return dim > -GML_DIM_LIMIT && dim < GML_DIM_LIMIT;
}
/* Index of a non-constant `dim` in pool->exprs. */
static inline size_t gml_dim_index(gml_dim dim)
{
    return (size_t)(-GML_DIM_LIMIT - dim);
}

/* The symbol called `name`, made when new. */
gml_dim gml_dim_symbol(gml_dim_pool *pool, const char *name);
/* A new symbol, equal to nothing else; `hint` begins its name. */
gml_dim gml_dim_fresh(gml_dim_pool *pool, const char *hint);

gml_dim gml_dim_add(gml_dim_pool *pool, gml_dim a, gml_dim b);
gml_dim gml_dim_sub(gml_dim_pool *pool, gml_dim a, gml_dim b);
gml_dim gml_dim_mul(gml_dim_pool *pool, gml_dim a, gml_dim b);
gml_dim gml_dim_div(gml_dim_pool *pool, gml_dim a,
                    gml_dim b); /* floor; b = 0 gives a fresh symbol */
gml_dim gml_dim_ceil_div(gml_dim_pool *pool, gml_dim a, gml_dim b);
gml_dim gml_dim_mod(gml_dim_pool *pool, gml_dim a, gml_dim b);
gml_dim gml_dim_min(gml_dim_pool *pool, gml_dim a, gml_dim b);
gml_dim gml_dim_max(gml_dim_pool *pool, gml_dim a, gml_dim b);

/* The value of `dim` when symbol number i (index in pool->exprs) has values[i]; entries of
 * `values` that are no symbol are ignored. False on overflow or division by zero. */
bool gml_dim_eval(const gml_dim_pool *pool, gml_dim dim, const int64_t *values,
                  int64_t *out_value);

/* One operator other than SYMBOL, on values. False on overflow or division by zero. */
bool gml_dim_apply(gml_dim_op op, int64_t a, int64_t b, int64_t *out_value);

/* What two sizes must be to each other. */
typedef enum gml_relation {
    GML_EQUAL,
    GML_BROADCAST, /* equal: a size of 1 is repeated only where it is known when compiling */
    GML_AT_MOST,   /* a <= b */
    GML_MULTIPLE,  /* b > 0 divides a */
    GML_NOT_EMPTY, /* a > 0, or b = 0: there is something for each of `b` elements */
    GML_RELATION_COUNT,
} gml_relation;

bool gml_relation_holds(gml_relation relation, int64_t a, int64_t b);
/* "equal", "broadcast", … */
const char *gml_relation_name(gml_relation relation);

void gml_dim_print(const gml_dim_pool *pool, gml_dim dim, gml_str *out);
/* Parses a constant, a name, or a parenthesised expression as printed; `?` is a fresh symbol.
 * Advances `*text`, which is NUL-terminated; false, with `*text` where it stopped, when it
 * cannot. */
bool gml_dim_parse(gml_dim_pool *pool, const char **text, gml_dim *out_dim);

#endif
