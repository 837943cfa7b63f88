/* codegen/columns.c - sums of columns, made by the statement that stores what they sum. */
#include "codegen/columns.h"

#include "ir/index.h"

/* ---- what an expression reads -------------------------------------------------------------
 */

typedef struct reading {
    const gml_mem *mem;
    const gml_expr *load;   /* of `mem`: the one that there is */
    const gml_expr *reduce; /* likewise */
    unsigned n_loads, n_reduces;
    bool reads_stored; /* some other memory that is no input */
    bool *seen;        /* by id */
} reading;

static void read_expr(reading *r, const gml_expr *expr)
{
    if (r->seen[expr->id])
        return;
    r->seen[expr->id] = true;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: break;
    case GML_EXPR_LOAD:
        if (expr->as.load.mem == r->mem) {
            r->load = expr;
            r->n_loads++;
        } else if (expr->as.load.mem->role != GML_MEM_INPUT) {
            r->reads_stored = true;
        }
        for (int d = 0; d < expr->as.load.mem->rank; d++)
            read_expr(r, expr->as.load.index[d]);
        if (expr->as.load.pred)
            read_expr(r, expr->as.load.pred);
        break;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            read_expr(r, expr->as.scalar.args[i]);
        break;
    case GML_EXPR_REDUCE:
        r->reduce = expr;
        r->n_reduces++;
        read_expr(r, expr->as.reduce.body);
        break;
    }
}

static reading begin_reading(const gml_kernel *kernel, const gml_mem *mem)
{
    return (reading){.mem = mem,
                     .seen = gml_new_array(kernel->arena, bool, kernel->exprs.count + 1)};
}

static void read_list(reading *r, const gml_stmt *list)
{
    for (; list; list = list->next) {
        if (list->kind == GML_STMT_FOR) {
            read_list(r, list->as.loop.body);
            continue;
        }
        read_expr(r, list->as.store.value);
        for (int d = 0; d < list->as.store.mem->rank; d++)
            read_expr(r, list->as.store.index[d]);
    }
}

/* ---- positions ----------------------------------------------------------------------------
 */

/* Axes that count a dense array's elements, the last fastest. */
typedef struct count {
    const gml_axis *axes[GML_MAX_AXES];
    int64_t steps[GML_MAX_AXES]; /* elements from one value to the next */
    unsigned n;
} count;

/* `flat` as such a count of `size` elements; axes of one value are not in it. */
static bool find_count(const gml_expr *flat, int64_t size, count *c)
{
    gml_linear sum;
    c->n = 0;
    if (!gml_index_linear(flat, &sum) || sum.constant != 0)
        return false;
    for (unsigned i = 0; i < sum.n_terms; i++) {
        const gml_expr *atom = sum.terms[i].atom;
        if (atom->kind != GML_EXPR_AXIS || !gml_dim_is_const(atom->as.axis->extent))
            return false;
        unsigned at = c->n++;
        for (; at > 0 && c->steps[at - 1] < sum.terms[i].coefficient; at--) {
            c->axes[at] = c->axes[at - 1];
            c->steps[at] = c->steps[at - 1];
        }
        c->axes[at] = atom->as.axis;
        c->steps[at] = sum.terms[i].coefficient;
    }
    int64_t step = 1;
    for (unsigned i = c->n; i-- > 0; step *= c->axes[i]->extent)
        if (c->steps[i] != step)
            return false;
    return step == size;
}

static bool find_size(const gml_mem *mem, int64_t *size)
{
    *size = 1;
    for (int d = 0; d < mem->rank; d++)
        if (!gml_dim_is_const(mem->dims[d]) || mem->dims[d] <= 0 ||
            __builtin_mul_overflow(*size, mem->dims[d], size))
            return false;
    return true;
}

/* ---- the writer ---------------------------------------------------------------------------
 */

/* A store and the loops around it. */
typedef struct written {
    const gml_stmt *store;
    const gml_axis *loops[GML_MAX_AXES];
    unsigned n_loops;
} written;

static bool find_store(const gml_stmt *list, const gml_mem *mem, written *w)
{
    for (; list; list = list->next) {
        if (list->kind == GML_STMT_STORE) {
            w->store = list;
            if (list->as.store.mem == mem)
                return true;
            continue;
        }
        if (w->n_loops == GML_MAX_AXES)
            return false;
        w->loops[w->n_loops++] = list->as.loop.axis;
        if (find_store(list->as.loop.body, mem, w))
            return true;
        w->n_loops--;
    }
    return false;
}

/* The memory that `body` reads and the writer stores in its innermost loop. */
static bool find_source(gml_kernel *kernel, const gml_stmt *writer, const gml_expr *body,
                        reading *out_reading, written *out_written)
{
    for (unsigned role = 0; role < 2; role++) {
        size_t n = role == 0 ? kernel->locals.count : kernel->outputs.count;
        for (size_t i = 0; i < n; i++) {
            const gml_mem *mem = role == 0 ? kernel->locals.items[i] : kernel->outputs.items[i];
            *out_written = (written){.n_loops = 0};
            if (mem->rank == 0 || !find_store(writer, mem, out_written))
                continue;
            *out_reading = begin_reading(kernel, mem);
            read_expr(out_reading, body);
            if (out_reading->n_loads > 0)
                return out_reading->n_loads == 1 && !out_reading->reads_stored &&
                       !out_reading->load->as.load.pred && !out_written->store->as.store.pred;
        }
    }
    return false;
}

/* The loops around the store count its elements; the inner ones of them the columns. */
static bool fits_loops(const written *w, const count *of_store, int64_t n_columns,
                       unsigned *out_row_loops)
{
    unsigned n = 0;
    int64_t step = 1;
    for (unsigned i = 0; i < w->n_loops; i++) {
        if (w->loops[i]->extent == 1)
            continue;
        if (n == of_store->n || of_store->axes[n++] != w->loops[i])
            return false;
    }
    if (n != of_store->n)
        return false;
    *out_row_loops = w->n_loops;
    while (*out_row_loops > 0 && step < n_columns)
        step *= w->loops[--*out_row_loops]->extent;
    return step == n_columns && *out_row_loops > 0;
}

/* ---- a sum --------------------------------------------------------------------------------
 */

/* The reduction of `stmt`, a nest with one store: a sum over axes that count rows of what its
 * loops count the columns of. */
static bool match_sum(gml_kernel *kernel, const gml_stmt *stmt, count *columns,
                      gml_column_sum *sum)
{
    sum->stmt = stmt;
    columns->n = 0;
    for (; stmt->kind == GML_STMT_FOR; stmt = stmt->as.loop.body) {
        if (stmt->as.loop.body->next || columns->n == GML_MAX_AXES)
            return false;
        if (stmt->as.loop.axis->extent != 1)
            columns->axes[columns->n++] = stmt->as.loop.axis;
    }
    reading r = begin_reading(kernel, NULL);
    read_expr(&r, stmt->as.store.value);
    sum->reduce = r.reduce;
    return r.n_reduces == 1 && r.reduce->as.reduce.op == GML_REDUCE_SUM &&
           r.reduce->dtype == GML_F32 && columns->n > 0;
}

/* The load's axes in the order in which they count are the reduction's, then the loops'. */
static bool fits_sum(const gml_column_sum *sum, const count *columns, const count *of_load)
{
    unsigned n_rows = of_load->n - columns->n;
    if (of_load->n <= columns->n || columns->n == 0)
        return false;
    for (unsigned i = 0; i < columns->n; i++)
        if (of_load->axes[n_rows + i] != columns->axes[i])
            return false;
    unsigned n_reduced = 0;
    for (unsigned i = 0; i < sum->reduce->as.reduce.n_axes; i++)
        n_reduced += sum->reduce->as.reduce.axes[i]->extent != 1;
    return n_reduced == n_rows;
}

/* What the reduction sums, in terms of the writer's loops, where the element is `value`. */
static const gml_expr *moved(gml_kernel *kernel, const gml_column_sum *sum,
                             const count *of_load, const gml_expr *load, const written *w)
{
    const gml_axis *axes[GML_MAX_AXES];
    const gml_expr *by[GML_MAX_AXES];
    const gml_expr *index[GML_MAX_RANK];
    const gml_mem *mem = w->store->as.store.mem;
    const gml_expr *flat = gml_index_flat(kernel, mem, w->store->as.store.index);
    unsigned n = of_load->n;
    for (unsigned i = 0; i < n; i++) {
        const gml_expr *at = gml_index_op(kernel, GML_X_FLOORDIV, flat,
                                          gml_expr_int(kernel, GML_I64, of_load->steps[i]));
        axes[i] = of_load->axes[i];
        by[i] = i == 0 ? at
                       : gml_index_op(kernel, GML_X_FLOORMOD, at,
                                      gml_expr_int(kernel, GML_I64, axes[i]->extent));
    }
    for (unsigned i = 0; i < sum->reduce->as.reduce.n_axes; i++) {
        const gml_axis *axis = sum->reduce->as.reduce.axes[i];
        if (axis->extent != 1)
            continue;
        axes[n] = axis;
        by[n++] = gml_expr_int(kernel, GML_I64, 0);
    }
    for (int d = 0; d < mem->rank; d++)
        index[d] = gml_expr_substitute(kernel, load->as.load.index[d], axes, by, n);
    const gml_expr *body =
        gml_expr_substitute(kernel, sum->reduce->as.reduce.body, axes, by, n);
    return gml_expr_replace(kernel, body, gml_expr_load(kernel, mem, index, NULL),
                            w->store->as.store.value);
}

/* A copy of `list` in which `more` follows the store `after`. */
static gml_stmt *copy_with(gml_kernel *kernel, const gml_stmt *list, const gml_stmt *after,
                           gml_stmt *more)
{
    gml_stmt *copy = NULL;
    for (; list; list = list->next) {
        gml_stmt *one = gml_new(kernel->arena, gml_stmt);
        *one = *list;
        one->next = NULL;
        if (list->kind == GML_STMT_FOR)
            one->as.loop.body = copy_with(kernel, list->as.loop.body, after, more);
        gml_stmt_append(&copy, one);
        if (list == after)
            gml_stmt_append(&copy, more);
    }
    return copy;
}

static bool same_loops(const gml_columns *columns, const written *w)
{
    bool same = columns->n_loops == w->n_loops;
    for (unsigned i = 0; same && i < w->n_loops; i++)
        same = columns->loops[i] == w->loops[i];
    return same;
}

/* The columns of the first sum are those of the others. */
static bool set_columns(gml_columns *out, const written *w, int64_t size, int64_t n_columns)
{
    out->columns = n_columns;
    out->rows = size / n_columns;
    out->n_loops = w->n_loops;
    for (unsigned i = 0; i < w->n_loops; i++)
        out->loops[i] = w->loops[i];
    return true;
}

/* A sum that was found. */
typedef struct match {
    reading source;  /* what it reads of the writer */
    written written; /* how that is stored */
    count columns;   /* its loops */
    count of_load;   /* its axes, by how they count what it reads */
} match;

/* How the sum's columns lie in what the writer stores; false where it is no sum of columns, or
 * one of other columns than those before. */
static bool find_columns(gml_kernel *kernel, gml_columns *out, const gml_column_sum *sum,
                         match *m)
{
    int64_t size = 0;
    count of_store = {.n = 0};
    const gml_mem *mem = m->source.mem;
    const gml_stmt *store = m->written.store;
    const gml_expr *loaded = gml_index_flat(kernel, mem, m->source.load->as.load.index);
    const gml_expr *stored = gml_index_flat(kernel, mem, store->as.store.index);
    if (!find_size(mem, &size) || !find_count(loaded, size, &m->of_load) ||
        !find_count(stored, size, &of_store) || !fits_sum(sum, &m->columns, &m->of_load))
        return false;
    int64_t n_columns =
        m->of_load.steps[m->of_load.n - m->columns.n] * m->columns.axes[0]->extent;
    if (n_columns < 1 || !fits_loops(&m->written, &of_store, n_columns, &out->n_row_loops))
        return false;
    return out->n_sums > 0 ? out->columns == n_columns && same_loops(out, &m->written)
                           : set_columns(out, &m->written, size, n_columns);
}

static bool add_sum(gml_kernel *kernel, const gml_stmt *stmt, gml_columns *out)
{
    gml_column_sum *sum = &out->sums[out->n_sums];
    match m = {.columns = {.n = 0}};
    if (!match_sum(kernel, stmt, &m.columns, sum) ||
        !find_source(kernel, out->writer, sum->reduce->as.reduce.body, &m.source, &m.written) ||
        !find_columns(kernel, out, sum, &m))
        return false;
    const gml_stmt *stored = m.written.store;
    gml_mem *whole = gml_new(kernel->arena, gml_mem);
    *whole = (gml_mem){.role = GML_MEM_SUM,
                       .number = out->n_sums,
                       .name = "column",
                       .dtype = GML_F32,
                       .rank = m.source.mem->rank,
                       .dims = m.source.mem->dims};
    gml_stmt *store = gml_stmt_store(kernel, whole, stored->as.store.index,
                                     moved(kernel, sum, &m.of_load, m.source.load, &m.written));
    gml_stmt alone = *out->writer;
    alone.next = NULL;
    out->writer = copy_with(kernel, &alone, stored, store);
    sum->whole = whole;
    out->n_sums++;
    return true;
}

/* ---- all of them --------------------------------------------------------------------------
 */

/* Without stores of locals that nobody loads any more. */
static gml_stmt *without_unread(gml_kernel *kernel, gml_stmt *list, const gml_stmt *writer,
                                const gml_stmt *others)
{
    gml_stmt *kept = NULL;
    gml_stmt *next = NULL;
    for (; list; list = next) {
        next = list->next;
        list->next = NULL;
        if (list->kind == GML_STMT_FOR) {
            gml_stmt *body = without_unread(kernel, list->as.loop.body, writer, others);
            if (body)
                gml_stmt_append(&kept, gml_stmt_for(kernel, list->as.loop.axis, body));
            continue;
        }
        reading r = begin_reading(kernel, list->as.store.mem);
        read_list(&r, writer);
        read_list(&r, others);
        if (list->as.store.mem->role != GML_MEM_LOCAL || r.n_loads > 0)
            gml_stmt_append(&kept, list);
    }
    return kept;
}

bool gml_columns_find(gml_kernel *kernel, const gml_stmt *list, gml_columns *out)
{
    const gml_stmt *stmt = list->next;
    gml_stmt alone = *list;
    out->n_sums = 0;
    if (!stmt)
        return false;
    alone.next = NULL;
    *out = (gml_columns){.writer = copy_with(kernel, &alone, NULL, NULL)};
    while (stmt && out->n_sums < GML_MAX_COLUMN_SUMS &&
           gml_kernel_has_axes(kernel, GML_COLUMN_AXES) && add_sum(kernel, stmt, out))
        stmt = stmt->next;
    if (out->n_sums == 0)
        return false;
    const gml_stmt *copy = copy_with(kernel, out->writer, NULL, NULL);
    out->writer = without_unread(kernel, out->writer, copy, stmt);
    return true;
}

void gml_columns_cut(gml_kernel *kernel, gml_columns *columns, int64_t n_parts)
{
    gml_dim dims[2] = {n_parts, columns->columns};
    columns->n_parts = n_parts;
    for (unsigned i = 0; i < columns->n_sums; i++) {
        gml_column_sum *sum = &columns->sums[i];
        const gml_axis *loops[GML_MAX_AXES];
        unsigned n_loops = 0;
        const gml_expr *column = gml_expr_int(kernel, GML_I64, 0);
        const gml_stmt *stmt = sum->stmt;
        const gml_axis *part = gml_kernel_add_axis(kernel, n_parts);
        sum->parts = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "parts", GML_F32, 2, dims);
        for (; stmt->kind == GML_STMT_FOR; stmt = stmt->as.loop.body) {
            loops[n_loops++] = stmt->as.loop.axis;
            column = gml_index_op(
                kernel, GML_X_ADD,
                gml_index_op(kernel, GML_X_MUL, column,
                             gml_expr_int(kernel, GML_I64, stmt->as.loop.axis->extent)),
                gml_expr_axis(kernel, stmt->as.loop.axis));
        }
        const gml_expr *index[2] = {gml_expr_axis(kernel, part), column};
        const gml_expr *total = gml_expr_reduce(kernel, GML_REDUCE_SUM, &part, 1,
                                                gml_expr_load(kernel, sum->parts, index, NULL));
        sum->rest =
            gml_stmt_store(kernel, stmt->as.store.mem, stmt->as.store.index,
                           gml_expr_replace(kernel, stmt->as.store.value, sum->reduce, total));
        while (n_loops > 0)
            sum->rest = gml_stmt_for(kernel, loops[--n_loops], sum->rest);
    }
}
