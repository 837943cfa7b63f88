/* ir/place.c - computing each reduction once.
 *
 * Pulling leaves reductions where they are used. Softmax arrives as
 *     for i, for j:  y[i,j] = exp(x[i,j] - max(k: x[i,k])) / sum(k: exp(x[i,k] - max(l:
 * x[i,l]))) which would cost the cube of the row. A reduction whose free axes are among the
 * loops around the store moves out to the innermost loop that it depends on, into a local of
 * rank 0; one that also depends on an axis of a reduction around it (the scores of an
 * attention) becomes a local array over that axis. What is alike but for the names of bound
 * axes is computed once.
 *
 * Only a reduction that depends on every loop around the store, and stands in no other, stays
 * inline: the plain sum, the contraction. */
#include "ir/loop.h"

#include <string.h>

typedef struct placed {
    const gml_expr *value; /* the reduction, operands rewritten */
    unsigned n_axes;       /* array axes of the local */
    const gml_axis *axes[GML_MAX_RANK];
    unsigned depth;
    const gml_mem *mem;
} placed;

typedef struct nest {
    gml_kernel *kernel;
    const gml_axis *loops[GML_MAX_AXES]; /* around the store, outermost first */
    unsigned n_loops;
    gml_stmt *before[GML_MAX_AXES + 1]; /* statements placed at each depth, in order */
    gml_vec(placed) done;               /* for the top-level statement at hand */
} nest;

/* ---- alike but for the names of axes ------------------------------------------------------
 */

typedef struct renaming {
    const gml_axis *from[GML_MAX_AXES];
    const gml_axis *to[GML_MAX_AXES];
    unsigned count;
    uint64_t bound;  /* of `from` */
    unsigned budget; /* expressions to look at before giving up */
} renaming;

static bool alike(renaming *names, const gml_expr *a, const gml_expr *b);

static bool alike_axis(const renaming *names, const gml_axis *a, const gml_axis *b)
{
    for (unsigned i = names->count; i-- > 0;) {
        if (names->from[i] == a)
            return names->to[i] == b;
        if (names->to[i] == b)
            return false;
    }
    return a == b;
}

static bool alike_load(renaming *names, const gml_expr *a, const gml_expr *b)
{
    if (a->as.load.mem != b->as.load.mem || !a->as.load.pred != !b->as.load.pred)
        return false;
    for (int d = 0; d < a->as.load.mem->rank; d++)
        if (!alike(names, a->as.load.index[d], b->as.load.index[d]))
            return false;
    return !a->as.load.pred || alike(names, a->as.load.pred, b->as.load.pred);
}

static bool alike_reduce(renaming *names, const gml_expr *a, const gml_expr *b)
{
    unsigned n = a->as.reduce.n_axes;
    if (a->as.reduce.op != b->as.reduce.op || n != b->as.reduce.n_axes ||
        names->count + n > GML_MAX_AXES)
        return false;
    uint64_t bound = names->bound;
    for (unsigned i = 0; i < n; i++) {
        if (a->as.reduce.axes[i]->extent != b->as.reduce.axes[i]->extent)
            return false;
        names->from[names->count + i] = a->as.reduce.axes[i];
        names->to[names->count + i] = b->as.reduce.axes[i];
        names->bound |= UINT64_C(1) << a->as.reduce.axes[i]->number;
    }
    names->count += n;
    bool same = alike(names, a->as.reduce.body, b->as.reduce.body);
    names->count -= n;
    names->bound = bound;
    return same;
}

static bool alike(renaming *names, const gml_expr *a, const gml_expr *b)
{
    if (a == b && !(a->free & names->bound))
        return true;
    if (a->kind != b->kind || a->dtype != b->dtype || names->budget == 0)
        return false;
    names->budget--;
    switch (a->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM: return false;
    case GML_EXPR_AXIS: return alike_axis(names, a->as.axis, b->as.axis);
    case GML_EXPR_LOAD: return alike_load(names, a, b);
    case GML_EXPR_SCALAR:
        if (a->as.scalar.op != b->as.scalar.op || a->as.scalar.flags != b->as.scalar.flags)
            return false;
        for (int i = 0; i < gml_scalar_arity(a->as.scalar.op); i++)
            if (!alike(names, a->as.scalar.args[i], b->as.scalar.args[i]))
                return false;
        return true;
    case GML_EXPR_REDUCE: return alike_reduce(names, a, b);
    }
    return false;
}

/* ---- placing ------------------------------------------------------------------------------
 */

typedef struct frame {
    nest *nest;
    uint64_t bound;        /* axes of the reductions around */
    const gml_expr **memo; /* by id */
    uint32_t n_memo;
} frame;

static const gml_expr *place(frame *f, const gml_expr *expr);

static unsigned depth_of(const nest *n, uint64_t free)
{
    unsigned depth = 0;
    for (unsigned i = 0; i < n->n_loops; i++)
        if (free >> n->loops[i]->number & 1)
            depth = i + 1;
    return depth;
}

static const gml_expr *load_local(nest *n, const placed *entry, const gml_axis *const *axes)
{
    const gml_expr *index[GML_MAX_RANK];
    for (unsigned i = 0; i < entry->n_axes; i++)
        index[i] = gml_expr_axis(n->kernel, axes[i]);
    return gml_expr_load(n->kernel, entry->mem, index, NULL);
}

static const placed *find_alike(nest *n, const gml_expr *value, const gml_axis *const *axes,
                                unsigned n_axes)
{
    for (size_t i = 0; i < n->done.count; i++) {
        const placed *entry = &n->done.items[i];
        if (entry->n_axes != n_axes || entry->value->dtype != value->dtype)
            continue;
        renaming names = {.count = n_axes, .budget = 4096};
        bool same = true;
        for (unsigned j = 0; j < n_axes; j++) {
            names.from[j] = entry->axes[j];
            names.to[j] = axes[j];
            names.bound |= UINT64_C(1) << entry->axes[j]->number;
            same = same && entry->axes[j]->extent == axes[j]->extent;
        }
        if (same && alike(&names, entry->value, value))
            return entry;
    }
    return NULL;
}

/* A local that holds `value`, a reduction already rewritten, over the bound axes it depends on.
 */
static const gml_expr *hoist(frame *f, const gml_expr *value)
{
    nest *n = f->nest;
    const gml_axis *axes[GML_MAX_RANK];
    gml_dim dims[GML_MAX_RANK];
    unsigned n_axes = 0;
    for (size_t i = 0; i < n->kernel->axes.count; i++)
        if (value->free & f->bound & (UINT64_C(1) << i)) {
            if (n_axes == GML_MAX_RANK)
                return value;
            dims[n_axes] = n->kernel->axes.items[i]->extent;
            axes[n_axes++] = n->kernel->axes.items[i];
        }
    const placed *known = find_alike(n, value, axes, n_axes);
    if (known)
        return load_local(n, known, axes);
    placed entry = {.value = value, .n_axes = n_axes, .depth = depth_of(n, value->free)};
    for (unsigned i = 0; i < n_axes; i++)
        entry.axes[i] = axes[i];
    const char *name = gml_arena_printf(n->kernel->arena, "t%zu", n->kernel->locals.count);
    gml_mem *mem =
        gml_kernel_add_mem(n->kernel, GML_MEM_LOCAL, name, value->dtype, (int)n_axes, dims);
    mem->depends = value->free & ~f->bound;
    entry.mem = mem;
    const gml_expr *index[GML_MAX_RANK];
    for (unsigned i = 0; i < n_axes; i++)
        index[i] = gml_expr_axis(n->kernel, axes[i]);
    gml_stmt *stmt = gml_stmt_store(n->kernel, entry.mem, index, value);
    for (unsigned i = n_axes; i-- > 0;)
        stmt = gml_stmt_for(n->kernel, axes[i], stmt);
    gml_stmt_append(&n->before[entry.depth], stmt);
    gml_push(n->kernel->arena, &n->done, entry);
    return load_local(n, &entry, axes);
}

static const gml_expr *place_reduce(frame *f, const gml_expr *expr)
{
    uint64_t own = 0;
    for (unsigned i = 0; i < expr->as.reduce.n_axes; i++)
        own |= UINT64_C(1) << expr->as.reduce.axes[i]->number;
    frame inner = {.nest = f->nest, .bound = f->bound | own};
    inner.n_memo = expr->id + 1;
    inner.memo = gml_new_array(f->nest->kernel->arena, const gml_expr *, inner.n_memo);
    const gml_expr *body = place(&inner, expr->as.reduce.body);
    const gml_expr *value = gml_expr_reduce(f->nest->kernel, expr->as.reduce.op,
                                            expr->as.reduce.axes, expr->as.reduce.n_axes, body);
    if (value->kind != GML_EXPR_REDUCE)
        return value;
    bool inline_here = f->bound == 0 && depth_of(f->nest, value->free) == f->nest->n_loops &&
                       !find_alike(f->nest, value, NULL, 0);
    return inline_here ? value : hoist(f, value);
}

static const gml_expr *rebuild(frame *f, const gml_expr *expr)
{
    gml_kernel *kernel = f->nest->kernel;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: break;
    case GML_EXPR_LOAD: {
        const gml_expr *index[GML_MAX_RANK];
        for (int d = 0; d < expr->as.load.mem->rank; d++)
            index[d] = place(f, expr->as.load.index[d]);
        const gml_expr *pred = expr->as.load.pred ? place(f, expr->as.load.pred) : NULL;
        return gml_expr_load(kernel, expr->as.load.mem, index, pred);
    }
    case GML_EXPR_SCALAR: {
        const gml_expr *args[3] = {NULL, NULL, NULL};
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            args[i] = place(f, expr->as.scalar.args[i]);
        if (memcmp(args, expr->as.scalar.args, sizeof args) == 0)
            return expr;
        return gml_expr_scalar(kernel, expr->as.scalar.op, expr->dtype, expr->as.scalar.flags,
                               args);
    }
    case GML_EXPR_REDUCE: return place_reduce(f, expr);
    }
    return expr;
}

static const gml_expr *place(frame *f, const gml_expr *expr)
{
    if (expr->id >= f->n_memo)
        return expr; /* made by this pass */
    if (!f->memo[expr->id])
        f->memo[expr->id] = rebuild(f, expr);
    return f->memo[expr->id];
}

static void place_store(nest *n, gml_stmt *store)
{
    frame f = {.nest = n, .n_memo = (uint32_t)n->kernel->exprs.count};
    f.memo = gml_new_array(n->kernel->arena, const gml_expr *, f.n_memo);
    store->as.store.value = place(&f, store->as.store.value);
}

/* A list of statements under the same loops: first the loops in it, then the stores, which may
 * want what the loops needed placed here; all of that goes before the list. */
static void place_list(nest *n, gml_stmt **list)
{
    for (gml_stmt *stmt = *list; stmt; stmt = stmt->next) {
        if (stmt->kind != GML_STMT_FOR)
            continue;
        n->loops[n->n_loops++] = stmt->as.loop.axis;
        place_list(n, &stmt->as.loop.body);
        n->n_loops--;
    }
    for (gml_stmt *stmt = *list; stmt; stmt = stmt->next)
        if (stmt->kind == GML_STMT_STORE)
            place_store(n, stmt);
    gml_stmt *before = n->before[n->n_loops];
    n->before[n->n_loops] = NULL;
    if (!before)
        return;
    gml_stmt *rest = *list;
    *list = before;
    while (before->next)
        before = before->next;
    before->next = rest;
}

/* Statements at the top are phases of their own and share nothing. */
void gml_kernel_place(gml_kernel *kernel)
{
    nest n = {.kernel = kernel};
    gml_stmt *placed_all = NULL;
    gml_stmt *next = NULL;
    for (gml_stmt *stmt = kernel->body; stmt; stmt = next) {
        next = stmt->next;
        stmt->next = NULL;
        n.done.count = 0;
        place_list(&n, &stmt);
        gml_stmt_append(&placed_all, stmt);
    }
    kernel->body = placed_all;
}
