/* base/dim.c - interned, canonical size expressions: the pool, sums, products, extremes,
 * evaluation.
 *
 * Arithmetic goes through polynomials (base/dim_poly.h): sizes are taken apart, added,
 * multiplied or divided, and the outcome is interned again term by term. Division is in
 * base/dim_div.c, text in base/dim_text.c.
 */
#include "base/dim.h"

#include "base/dim_poly.h"

/* ---- The pool --------------------------------------------------------------------------- */

void gml_dim_pool_init(gml_dim_pool *pool, gml_arena *arena)
{
    *pool = (gml_dim_pool){.arena = arena};
    gml_map_init(&pool->symbols, arena);
}

static gml_dim handle_of(size_t number)
{
    return -GML_DIM_LIMIT - (gml_dim)number;
}

gml_dim gml_dim_symbol(gml_dim_pool *pool, const char *name)
{
    uintptr_t number = (uintptr_t)gml_map_find(&pool->symbols, name);
    if (number != 0)
        return handle_of(number - 1);
    number = pool->exprs.count;
    gml_map_set(&pool->symbols, name, (void *)(number + 1));
    const char *key = pool->symbols.entries[pool->symbols.count - 1].key;
    gml_dim_expr expr = {.op = GML_DIM_SYMBOL, .name = key, .size = 1};
    gml_push(pool->arena, &pool->exprs, expr);
    return handle_of(number);
}

gml_dim gml_dim_fresh(gml_dim_pool *pool, const char *hint)
{
    const char *name;
    do {
        name = gml_arena_printf(pool->arena, "%s.%u", hint, pool->n_fresh++);
    } while (gml_map_has(&pool->symbols, name));
    return gml_dim_symbol(pool, name);
}

static size_t hash_expr(gml_dim_op op, gml_dim a, gml_dim b)
{
    int64_t words[3] = {(int64_t)op, a, b};
    return (size_t)gml_hash_bytes(words, sizeof(words), 0);
}

static size_t find_slot(const gml_dim_pool *pool, gml_dim_op op, gml_dim a, gml_dim b)
{
    size_t i = hash_expr(op, a, b) & (pool->n_slots - 1);
    while (pool->slots[i] != 0) {
        const gml_dim_expr *expr = &pool->exprs.items[pool->slots[i] - 1];
        if (expr->op == op && expr->a == a && expr->b == b)
            break;
        i = (i + 1) & (pool->n_slots - 1);
    }
    return i;
}

/* Keeps the table at most half full, counting symbols too, which only makes it emptier. */
static void make_room(gml_dim_pool *pool)
{
    if (2 * (pool->exprs.count + 1) <= pool->n_slots)
        return;
    pool->n_slots = pool->n_slots == 0 ? 64 : 2 * pool->n_slots;
    while (2 * (pool->exprs.count + 1) > pool->n_slots)
        pool->n_slots *= 2;
    pool->slots = gml_new_array(pool->arena, uint32_t, pool->n_slots);
    for (size_t i = 0; i < pool->exprs.count; i++) {
        const gml_dim_expr *expr = &pool->exprs.items[i];
        if (expr->op != GML_DIM_SYMBOL)
            pool->slots[find_slot(pool, expr->op, expr->a, expr->b)] = (uint32_t)(i + 1);
    }
}

gml_dim gml_dim_intern(gml_dim_pool *pool, gml_dim_op op, gml_dim a, gml_dim b)
{
    uint32_t size = 1 + gml_dim_get_size(pool, a) + gml_dim_get_size(pool, b);
    if (size > GML_DIM_MAX_SIZE)
        return gml_dim_fresh(pool, "d");
    make_room(pool);
    size_t slot = find_slot(pool, op, a, b);
    if (pool->slots[slot] == 0) {
        gml_dim_expr expr = {.op = op, .a = a, .b = b, .size = size};
        gml_push(pool->arena, &pool->exprs, expr);
        pool->slots[slot] = (uint32_t)pool->exprs.count;
    }
    return handle_of(pool->slots[slot] - 1);
}

/* ---- Sums and products ------------------------------------------------------------------ */

static gml_dim add_scaled(gml_dim_pool *pool, gml_dim a, gml_dim b, int64_t scale)
{
    gml_dim_poly sum;
    gml_dim_poly other;
    gml_dim_poly_of(pool, a, &sum);
    gml_dim_poly_of(pool, b, &other);
    if (!gml_dim_poly_add_scaled(pool, &sum, &other, scale))
        return gml_dim_fresh(pool, "d");
    return gml_dim_of_poly(pool, &sum);
}

gml_dim gml_dim_add(gml_dim_pool *pool, gml_dim a, gml_dim b)
{
    if (a == 0 || b == 0)
        return a == 0 ? b : a;
    return add_scaled(pool, a, b, 1);
}

gml_dim gml_dim_sub(gml_dim_pool *pool, gml_dim a, gml_dim b)
{
    if (a == b || b == 0)
        return a == b ? 0 : a;
    return add_scaled(pool, a, b, -1);
}

gml_dim gml_dim_mul(gml_dim_pool *pool, gml_dim a, gml_dim b)
{
    if (a == 0 || b == 0)
        return 0;
    if (a == 1 || b == 1)
        return a == 1 ? b : a;
    gml_dim_poly x;
    gml_dim_poly y;
    gml_dim_poly product = {0};
    gml_dim_poly_of(pool, a, &x);
    gml_dim_poly_of(pool, b, &y);
    for (uint32_t i = 0; i < x.n_terms; i++) {
        for (uint32_t j = 0; j < y.n_terms; j++) {
            gml_dim_term t;
            if (!gml_dim_term_multiply(pool, &x.terms[i], &y.terms[j], &t) ||
                !gml_dim_poly_add(pool, &product, &t))
                return gml_dim_fresh(pool, "d");
        }
    }
    return gml_dim_of_poly(pool, &product);
}

/* ---- Minimum and maximum ---------------------------------------------------------------- */

static gml_dim extreme(gml_dim_pool *pool, gml_dim_op op, gml_dim a, gml_dim b)
{
    gml_dim_poly x;
    gml_dim_poly y;
    gml_dim_poly_of(pool, a, &x);
    gml_dim_poly_of(pool, b, &y);
    gml_dim_range difference = gml_dim_range_of_difference(pool, &x, &y);
    if (difference.lo >= 0)
        return op == GML_DIM_MAX ? a : b;
    if (difference.hi <= 0)
        return op == GML_DIM_MAX ? b : a;
    if (gml_dim_compare(pool, a, b) > 0) {
        gml_dim first = b;
        b = a;
        a = first;
    }
    return gml_dim_intern(pool, op, a, b);
}

gml_dim gml_dim_min(gml_dim_pool *pool, gml_dim a, gml_dim b)
{
    return a == b ? a : extreme(pool, GML_DIM_MIN, a, b);
}

gml_dim gml_dim_max(gml_dim_pool *pool, gml_dim a, gml_dim b)
{
    return a == b ? a : extreme(pool, GML_DIM_MAX, a, b);
}

/* ---- Evaluation ------------------------------------------------------------------------- */

bool gml_dim_apply(gml_dim_op op, int64_t a, int64_t b, int64_t *out_value)
{
    switch (op) {
    case GML_DIM_SYMBOL: return false;
    case GML_DIM_ADD: return !__builtin_add_overflow(a, b, out_value);
    case GML_DIM_MUL: return !__builtin_mul_overflow(a, b, out_value);
    case GML_DIM_DIV:
    case GML_DIM_MOD:
        if (b == 0 || (a == INT64_MIN && b == -1))
            return false;
        *out_value = op == GML_DIM_DIV ? gml_floor_div(a, b) : a - gml_floor_div(a, b) * b;
        return true;
    case GML_DIM_MIN: *out_value = gml_smaller(a, b); return true;
    case GML_DIM_MAX: *out_value = gml_larger(a, b); return true;
    }
    return false;
}

bool gml_dim_eval(const gml_dim_pool *pool, gml_dim dim, const int64_t *values,
                  int64_t *out_value)
{
    if (gml_dim_is_const(dim)) {
        *out_value = dim;
        return true;
    }
    const gml_dim_expr *expr = gml_dim_get_expr(pool, dim);
    if (expr->op == GML_DIM_SYMBOL) {
        *out_value = values[gml_dim_index(dim)];
        return true;
    }
    int64_t a;
    int64_t b;
    return gml_dim_eval(pool, expr->a, values, &a) && gml_dim_eval(pool, expr->b, values, &b) &&
           gml_dim_apply(expr->op, a, b, out_value);
}

/* ---- Relations -------------------------------------------------------------------------- */

bool gml_relation_holds(gml_relation relation, int64_t a, int64_t b)
{
    switch (relation) {
    case GML_EQUAL:
    case GML_BROADCAST: return a == b;
    case GML_AT_MOST: return a <= b;
    case GML_MULTIPLE: return b > 0 && a % b == 0;
    case GML_NOT_EMPTY: return a > 0 || b == 0;
    case GML_RELATION_COUNT: break;
    }
    return false;
}

const char *gml_relation_name(gml_relation relation)
{
    static const char *const names[GML_RELATION_COUNT] = {
        [GML_EQUAL] = "equal",       [GML_BROADCAST] = "broadcast", [GML_AT_MOST] = "at_most",
        [GML_MULTIPLE] = "multiple", [GML_NOT_EMPTY] = "not_empty",
    };
    return names[relation];
}
