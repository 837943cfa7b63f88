/* codegen/contract.c - recognises contractions in loop IR. */
#include "codegen/contract.h"

#include "codegen/positions.h"
#include "codegen/schedule.h"

/* Below these the packing costs more than the micro-kernel gains. A constant is packed ahead:
 * then a single row gains, too, since panels are read in one run. */
#define GML_MIN_ROWS     4
#define GML_MIN_COLUMNS  3
#define GML_MIN_DEPTH    4
#define GML_MIN_PRODUCTS 16384

typedef struct finder {
    gml_kernel *kernel;
    const gml_axis *loops[GML_MAX_AXES]; /* around the store, outermost first */
    unsigned n_loops;
    const gml_stmt *store;
    const gml_expr *reduce;
    unsigned n_reduces;
    /* the axes that are replaced, and by what */
    const gml_axis *old[GML_MAX_AXES];
    const gml_expr *by[GML_MAX_AXES];
    unsigned n_old;
} finder;

static uint64_t bit(const gml_axis *axis)
{
    return UINT64_C(1) << axis->number;
}

/* Counts the reductions that differ from the one before. */
static void find_reduce(finder *f, const gml_expr *expr, unsigned depth)
{
    if (depth == 0) {
        f->n_reduces = 2;
        return;
    }
    switch (expr->kind) {
    case GML_EXPR_REDUCE:
        if (expr != f->reduce)
            f->n_reduces++;
        f->reduce = expr;
        break;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            find_reduce(f, expr->as.scalar.args[i], depth - 1);
        break;
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS:
    case GML_EXPR_LOAD: break;
    }
}

static bool match_form(finder *f)
{
    for (const gml_stmt *store = f->store; store; store = store->next) {
        if (store->kind != GML_STMT_STORE)
            return false;
        find_reduce(f, store->as.store.value, 64);
    }
    if (f->n_reduces != 1 || f->reduce->as.reduce.op != GML_REDUCE_SUM ||
        f->reduce->dtype != GML_F32)
        return false;
    const gml_expr *body = f->reduce->as.reduce.body;
    return body->kind == GML_EXPR_SCALAR && body->as.scalar.op == GML_X_MUL;
}

/* One axis for `count` of them, the last fastest; a single axis stays itself. */
static const gml_axis *merge(finder *f, const gml_axis *const *axes, unsigned count)
{
    gml_kernel *kernel = f->kernel;
    if (count == 1)
        return axes[0];
    gml_dim extent = 1;
    for (unsigned i = 0; i < count; i++)
        extent = gml_dim_mul(kernel->dims, extent, axes[i]->extent);
    const gml_axis *merged = gml_kernel_add_axis(kernel, extent);
    const gml_expr *rest = gml_expr_axis(kernel, merged);
    for (unsigned i = count; i-- > 0;) {
        const gml_expr *args[3] = {rest, gml_expr_dim(kernel, axes[i]->extent), NULL};
        f->old[f->n_old] = axes[i];
        f->by[f->n_old++] =
            i == 0 ? rest : gml_expr_scalar(kernel, GML_X_FLOORMOD, GML_I64, 0, args);
        rest = gml_expr_scalar(kernel, GML_X_FLOORDIV, GML_I64, 0, args);
    }
    return merged;
}

static const gml_expr *renamed(finder *f, const gml_expr *expr)
{
    return gml_expr_substitute(f->kernel, expr, f->old, f->by, f->n_old);
}

/* ---- constants ----------------------------------------------------------------------------
 */

static bool reads_constants(const gml_expr *expr, uint64_t constants, unsigned depth)
{
    if (depth == 0)
        return false;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_AXIS: return true;
    case GML_EXPR_DIM: return false;
    case GML_EXPR_REDUCE: return false;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            if (!reads_constants(expr->as.scalar.args[i], constants, depth - 1))
                return false;
        return true;
    case GML_EXPR_LOAD: break;
    }
    const gml_mem *mem = expr->as.load.mem;
    if (mem->role != GML_MEM_INPUT || mem->number >= 64 || !(constants >> mem->number & 1))
        return false;
    for (int d = 0; d < mem->rank; d++)
        if (!reads_constants(expr->as.load.index[d], constants, depth - 1))
            return false;
    return !expr->as.load.pred || reads_constants(expr->as.load.pred, constants, depth - 1);
}

/* ---- the parts of the nest ----------------------------------------------------------------
 */

typedef struct parts {
    const gml_axis *m[GML_MAX_AXES], *n[GML_MAX_AXES];
    unsigned n_m, n_n;
} parts;

static bool split_axes(finder *f, const gml_expr *a, const gml_expr *b, parts *p,
                       gml_contraction *out)
{
    unsigned trailing = f->n_loops;
    while (trailing > 0) {
        const gml_axis *axis = f->loops[trailing - 1];
        bool only_b = (b->free & bit(axis)) && !(a->free & bit(axis));
        if (!only_b && axis->extent != 1)
            break;
        trailing--;
    }
    for (unsigned i = 0; i < f->n_loops; i++) {
        const gml_axis *axis = f->loops[i];
        bool in_a = a->free & bit(axis);
        bool in_b = b->free & bit(axis);
        if (i >= trailing)
            p->n[p->n_n++] = axis;
        else if (in_a && !in_b)
            p->m[p->n_m++] = axis;
        else if (out->n_batch < GML_MAX_RANK)
            out->batch[out->n_batch++] = axis;
        else
            return false;
    }
    return p->n_n > 0;
}

/* Axes of m that are not neighbours in the store would turn its positions into divisions, and
 * extents that only a run decides would hide that the others are constant: only the innermost
 * run without either is merged, the others become batch axes. */
static void keep_neighbours(finder *f, parts *p, gml_contraction *out)
{
    unsigned first = p->n_m ? p->n_m - 1 : 0;
    while (first > 0) {
        unsigned at = 0;
        while (f->loops[at] != p->m[first])
            at++;
        if (at == 0 || f->loops[at - 1] != p->m[first - 1] ||
            (gml_dim_is_const(p->m[first]->extent) &&
             !gml_dim_is_const(p->m[first - 1]->extent)))
            break;
        first--;
    }
    for (unsigned i = 0; i < first && out->n_batch < GML_MAX_RANK; i++)
        out->batch[out->n_batch++] = p->m[i];
    for (unsigned i = first; i < p->n_m; i++)
        p->m[i - first] = p->m[i];
    p->n_m -= first;
}

static bool worth_it(const gml_kernel *kernel, const gml_contraction *c)
{
    (void)kernel;
    bool known = gml_dim_is_const(c->m->extent) && gml_dim_is_const(c->n->extent) &&
                 gml_dim_is_const(c->k->extent);
    if (!known)
        return gml_dim_is_const(c->k->extent) && c->k->extent >= GML_MIN_DEPTH;
    return c->m->extent >= (c->b_constant ? 1 : GML_MIN_ROWS) &&
           c->n->extent >= GML_MIN_COLUMNS && c->k->extent >= GML_MIN_DEPTH &&
           c->m->extent * c->n->extent * c->k->extent >= GML_MIN_PRODUCTS;
}

/* Rewrites a, b and the store in terms of the merged axes. */
static void rewrite(finder *f, const gml_expr *a, const gml_expr *b, gml_contraction *out)
{
    gml_kernel *kernel = f->kernel;
    gml_mem *sum = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "sum", GML_F32, 0, NULL);
    sum->depends = bit(out->m) | bit(out->n);
    for (unsigned i = 0; i < out->n_batch; i++)
        sum->depends |= bit(out->batch[i]);
    out->sum = gml_expr_load(kernel, sum, NULL, NULL);
    gml_stmt *stores = NULL;
    for (const gml_stmt *store = f->store; store; store = store->next) {
        const gml_expr *index[GML_MAX_RANK];
        const gml_mem *mem = store->as.store.mem;
        for (int d = 0; d < mem->rank; d++)
            index[d] = renamed(f, store->as.store.index[d]);
        const gml_expr *value =
            gml_expr_replace(kernel, store->as.store.value, f->reduce, out->sum);
        gml_stmt *own = gml_stmt_store(kernel, mem, index, renamed(f, value));
        if (store->as.store.pred)
            own->as.store.pred = renamed(f, store->as.store.pred);
        gml_stmt_append(&stores, own);
    }
    out->store = stores;
    out->a_at = a;
    out->a = renamed(f, a);
    out->b = renamed(f, b);
    for (unsigned i = 0; i < out->n_batch; i++) {
        out->a_batch |= out->a->free & bit(out->batch[i]);
        out->b_batch |= out->b->free & bit(out->batch[i]);
    }
}

/* The taps, those of `a` that are farthest apart first. */
static bool order_taps(finder *f, const gml_expr *a, gml_contraction *out)
{
    int64_t strides[GML_MAX_RANK];
    const gml_expr *load = gml_schedule_first_load(a);
    for (unsigned i = 0; i < f->reduce->as.reduce.n_axes; i++) {
        const gml_axis *axis = f->reduce->as.reduce.axes[i];
        if (out->n_taps == GML_MAX_RANK)
            return false;
        int64_t stride =
            load ? gml_schedule_stride(f->kernel, load->as.load.mem, load->as.load.index, axis)
                 : 0;
        unsigned at = out->n_taps++;
        for (; at > 0 && stride != GML_STRIDE_UNKNOWN && strides[at - 1] < stride; at--) {
            strides[at] = strides[at - 1];
            out->taps[at] = out->taps[at - 1];
        }
        strides[at] = stride;
        out->taps[at] = axis;
    }
    return true;
}

/* Where rows overlap (codegen/positions.h), rows outside of those that do become batch axes:
 * the images of a batch share nothing. */
static void keep_meeting(const gml_expr *a, parts *p, gml_contraction *out)
{
    unsigned first = 0;
    while (first < p->n_m && !gml_positions_meet(a, p->m[first], out->taps, out->n_taps))
        first++;
    if (first == p->n_m || out->n_batch + first > GML_MAX_RANK)
        return;
    for (unsigned i = 0; i < first; i++)
        out->batch[out->n_batch++] = p->m[i];
    for (unsigned i = first; i < p->n_m; i++)
        p->m[i - first] = p->m[i];
    p->n_m -= first;
}

bool gml_contract_find(gml_kernel *kernel, const gml_stmt *stmt, uint64_t constants,
                       gml_contraction *out)
{
    finder f = {.kernel = kernel};
    *out = (gml_contraction){0};
    for (; stmt->kind == GML_STMT_FOR && !stmt->next; stmt = stmt->as.loop.body)
        f.loops[f.n_loops++] = stmt->as.loop.axis;
    if (stmt->kind != GML_STMT_STORE || f.n_loops == 0)
        return false;
    f.store = stmt;
    if (!match_form(&f) || !gml_kernel_has_axes(kernel, 8))
        return false;
    const gml_expr *body = f.reduce->as.reduce.body;
    const gml_expr *a = body->as.scalar.args[0];
    const gml_expr *b = body->as.scalar.args[1];
    const gml_axis *inner = f.loops[f.n_loops - 1];
    for (unsigned i = f.n_loops; i-- > 0 && inner->extent == 1;)
        inner = f.loops[i];
    if (a->free & bit(inner)) {
        const gml_expr *swapped = a;
        a = b;
        b = swapped;
    }
    out->b_constant = reads_constants(b, constants, 64);
    parts p = {.n_m = 0};
    if (!split_axes(&f, a, b, &p, out))
        return false;
    keep_neighbours(&f, &p, out);
    if (p.n_m > GML_MAX_RANK || !order_taps(&f, a, out))
        return false;
    keep_meeting(a, &p, out);
    for (unsigned i = 0; i < p.n_m; i++)
        out->rows[out->n_rows++] = p.m[i];
    out->n = merge(&f, p.n, p.n_n);
    out->m = p.n_m ? merge(&f, p.m, p.n_m) : gml_kernel_add_axis(kernel, 1);
    out->b_at = renamed(&f, b);
    out->k = merge(&f, out->taps, out->n_taps);
    if (!worth_it(kernel, out))
        return false;
    rewrite(&f, a, b, out);
    for (const gml_stmt *store = out->store; store; store = store->next)
        if (gml_schedule_stride(kernel, store->as.store.mem, store->as.store.index, out->n) !=
            1)
            return false;
    return true;
}
