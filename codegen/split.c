/* codegen/split.c - a long reduction as two. */
#include "codegen/split.h"

#include "ir/index.h"

#define GML_MAX_SPLITS 4

typedef struct split {
    gml_kernel *kernel;
    const gml_axis *loops[GML_MAX_RANK];
    unsigned n_loops;
    const gml_stmt *stores;
    const gml_expr *reduces[GML_MAX_SPLITS];
    unsigned n_reduces;
    int64_t parts;
} split;

static bool find_reduces(split *s, const gml_expr *expr, unsigned depth)
{
    if (depth == 0)
        return false;
    if (expr->kind == GML_EXPR_SCALAR) {
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            if (!find_reduces(s, expr->as.scalar.args[i], depth - 1))
                return false;
        return true;
    }
    if (expr->kind != GML_EXPR_REDUCE)
        return true;
    for (unsigned i = 0; i < s->n_reduces; i++)
        if (s->reduces[i] == expr)
            return true;
    if (s->n_reduces == GML_MAX_SPLITS)
        return false;
    s->reduces[s->n_reduces++] = expr;
    return true;
}

static bool match(split *s, const gml_stmt *stmt)
{
    while (stmt->kind == GML_STMT_FOR) {
        if (stmt->next || s->n_loops == GML_MAX_RANK - 1)
            return false;
        s->loops[s->n_loops++] = stmt->as.loop.axis;
        stmt = stmt->as.loop.body;
    }
    s->stores = stmt;
    for (; stmt; stmt = stmt->next)
        if (stmt->kind != GML_STMT_STORE || !find_reduces(s, stmt->as.store.value, 64))
            return false;
    return s->n_reduces > 0;
}

static bool are_alike(const gml_expr *a, const gml_expr *b)
{
    if (a->as.reduce.n_axes != b->as.reduce.n_axes)
        return false;
    for (unsigned i = 0; i < a->as.reduce.n_axes; i++)
        if (a->as.reduce.axes[i]->extent != b->as.reduce.axes[i]->extent)
            return false;
    return true;
}

/* The largest divisor of the axis up to `parts`. */
static int64_t divisor_of(const gml_axis *axis, int64_t parts)
{
    if (!gml_dim_is_const(axis->extent))
        return 1;
    for (int64_t d = parts < axis->extent ? parts : axis->extent; d > 1; d--)
        if (axis->extent % d == 0)
            return d;
    return 1;
}

/* Which axis is cut: the one that comes closest. The outermost of equals: what a part reads is
 * in one piece. */
static unsigned choose(split *s, int64_t parts, int64_t least)
{
    const gml_expr *reduce = s->reduces[0];
    int64_t depth = 1;
    unsigned best = 0;
    for (unsigned i = 0; i < reduce->as.reduce.n_axes; i++) {
        const gml_axis *axis = reduce->as.reduce.axes[i];
        if (!gml_dim_is_const(axis->extent) || axis->extent > (INT64_C(1) << 40) / depth)
            return 0;
        depth *= axis->extent;
    }
    if (parts > depth / least)
        parts = depth / least;
    s->parts = 1;
    for (unsigned i = 0; i < reduce->as.reduce.n_axes; i++) {
        int64_t d = divisor_of(reduce->as.reduce.axes[i], parts);
        if (d > s->parts) {
            s->parts = d;
            best = i;
        }
    }
    return best;
}

/* One reduction's parts: the store that fills them, and what takes the reduction's place. */
static gml_stmt *cut(split *s, const gml_expr *reduce, unsigned number, const gml_axis *part,
                     const gml_axis *sum_part, const gml_expr **out_sum)
{
    gml_kernel *kernel = s->kernel;
    const gml_axis *axes[GML_MAX_AXES];
    const gml_expr *index[GML_MAX_RANK], *again[GML_MAX_RANK];
    gml_dim dims[GML_MAX_RANK] = {s->parts};
    unsigned n = reduce->as.reduce.n_axes;
    const gml_axis *whole = reduce->as.reduce.axes[number];
    int64_t steps = whole->extent / s->parts;
    for (unsigned i = 0; i < n; i++)
        axes[i] = reduce->as.reduce.axes[i];
    axes[number] = gml_kernel_add_axis(kernel, steps);
    const gml_expr *at =
        gml_index_op(kernel, GML_X_ADD,
                     gml_index_op(kernel, GML_X_MUL, gml_expr_axis(kernel, part),
                                  gml_expr_int(kernel, GML_I64, steps)),
                     gml_expr_axis(kernel, axes[number]));
    const gml_expr *body = gml_expr_substitute(kernel, reduce->as.reduce.body, &whole, &at, 1);
    index[0] = gml_expr_axis(kernel, part);
    again[0] = gml_expr_axis(kernel, sum_part);
    for (unsigned i = 0; i < s->n_loops; i++) {
        dims[i + 1] = s->loops[i]->extent;
        index[i + 1] = again[i + 1] = gml_expr_axis(kernel, s->loops[i]);
    }
    gml_mem *mem = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "part", reduce->dtype,
                                      (int)s->n_loops + 1, dims);
    *out_sum = gml_expr_reduce(kernel, reduce->as.reduce.op, &sum_part, 1,
                               gml_expr_load(kernel, mem, again, NULL));
    return gml_stmt_store(kernel, mem, index,
                          gml_expr_reduce(kernel, reduce->as.reduce.op, axes, n, body));
}

static gml_stmt *in_loops(split *s, gml_stmt *body)
{
    for (unsigned i = s->n_loops; i-- > 0;)
        body = gml_stmt_for(s->kernel, s->loops[i], body);
    return body;
}

bool gml_split_reduction(gml_kernel *kernel, const gml_stmt *stmt, int64_t parts, int64_t least,
                         gml_stmt **out_first, gml_stmt **out_second)
{
    split s = {.kernel = kernel};
    if (!match(&s, stmt) || !gml_kernel_has_axes(kernel, 2 + s.n_reduces))
        return false;
    for (unsigned i = 1; i < s.n_reduces; i++)
        if (!are_alike(s.reduces[0], s.reduces[i]))
            return false;
    unsigned number = choose(&s, parts, least);
    if (s.parts < 2)
        return false;
    const gml_axis *part = gml_kernel_add_axis(kernel, s.parts);
    const gml_axis *sum_part = gml_kernel_add_axis(kernel, s.parts);
    const gml_expr *sums[GML_MAX_SPLITS];
    gml_stmt *first = NULL;
    gml_stmt *second = NULL;
    for (unsigned i = 0; i < s.n_reduces; i++)
        gml_stmt_append(&first, cut(&s, s.reduces[i], number, part, sum_part, &sums[i]));
    for (const gml_stmt *store = s.stores; store; store = store->next) {
        const gml_expr *value = store->as.store.value;
        for (unsigned i = 0; i < s.n_reduces; i++)
            value = gml_expr_replace(kernel, value, s.reduces[i], sums[i]);
        gml_stmt_append(
            &second, gml_stmt_store(kernel, store->as.store.mem, store->as.store.index, value));
    }
    *out_first = gml_stmt_for(kernel, part, in_loops(&s, first));
    *out_second = in_loops(&s, second);
    return true;
}
