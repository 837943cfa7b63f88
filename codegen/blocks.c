/* codegen/blocks.c - a kernel in stages, cut into units of a few rows, or columns. */
#include "codegen/blocks.h"

#include "ir/index.h"

#define GML_MAX_STAGES 16
/* Fewer rows at a time are not worth reading keys and values again. */
#define GML_LEAST_ROWS 16

/* for a { t[] = …; …; for b { target[…] = value } } */
typedef struct stage {
    const gml_axis *a, *b;
    const gml_stmt *scalars; /* the stores before the inner loop, if it is not the first */
    const gml_stmt *inner;
    const gml_stmt *store;
    bool by_rows;        /* of other stages' arrays it reads its own row */
    const gml_axis *own; /* else: the loop that is their column */
    bool is_needed;      /* by stages that are not by rows */
} stage;

typedef struct cutter {
    gml_kernel *kernel;
    const gml_axis *shared[GML_MAX_AXES];
    unsigned n_shared;
    stage stages[GML_MAX_STAGES];
    unsigned n_stages;
    int64_t n_rows;
    int64_t n_columns;     /* of the arrays that are needed by columns; 0: there are none */
    size_t n_locals;       /* of the kernel as it came */
    const gml_mem **saved; /* by local: where a row's scalar is kept for the units of columns */
    /* of the unit in the making */
    const gml_mem **copy;  /* by local: what takes its place */
    const gml_axis *block; /* in `kernel`; NULL: of none */
    const gml_axis *within;
    const gml_expr *at;     /* the row or column */
    const gml_expr *is_own; /* no block before does it; NULL: true of all */
    bool is_columns;
    /* of the stage */
    const gml_axis *from; /* becomes `at` */
    const stage *stage;
    bool failed;
} cutter;

/* ---- what the stages are ------------------------------------------------------------------
 */

static bool is_array(const gml_mem *mem)
{
    return mem->role == GML_MEM_LOCAL && mem->rank > 0;
}

static bool read_stage(const gml_stmt *stmt, stage *s)
{
    *s = (stage){0};
    if (stmt->kind != GML_STMT_FOR)
        return false;
    s->a = stmt->as.loop.axis;
    const gml_stmt *inside = stmt->as.loop.body;
    s->scalars = inside;
    for (; inside && inside->kind == GML_STMT_STORE; inside = inside->next)
        if (inside->as.store.mem->role != GML_MEM_LOCAL || inside->as.store.mem->rank != 0)
            return false;
    if (!inside || inside->next)
        return false;
    s->inner = inside;
    s->b = inside->as.loop.axis;
    s->store = inside->as.loop.body;
    return s->store->kind == GML_STMT_STORE && !s->store->next;
}

static bool is_axis(const gml_expr *expr, const gml_axis *axis)
{
    return expr->kind == GML_EXPR_AXIS && expr->as.axis == axis;
}

/* What an expression reads of other stages' arrays. */
typedef struct reads {
    bool rows;                 /* all by the own row */
    bool elements;             /* all at the own row and column */
    bool columns_a, columns_b; /* all down the column that a, or b, is */
    bool any;
} reads;

static void look(const stage *s, const gml_expr *expr, reads *r)
{
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: return;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            look(s, expr->as.scalar.args[i], r);
        return;
    case GML_EXPR_REDUCE: look(s, expr->as.reduce.body, r); return;
    case GML_EXPR_LOAD: break;
    }
    if (!is_array(expr->as.load.mem))
        return;
    const gml_expr *const *index = expr->as.load.index;
    bool down = index[0]->kind == GML_EXPR_AXIS && index[0]->as.axis != s->a &&
                index[0]->as.axis != s->b;
    r->any = true;
    r->rows = r->rows && is_axis(index[0], s->a);
    r->elements = r->elements && is_axis(index[0], s->a) && is_axis(index[1], s->b);
    r->columns_a = r->columns_a && down && is_axis(index[1], s->a);
    r->columns_b = r->columns_b && down && is_axis(index[1], s->b);
}

static reads look_all(const stage *s, bool with_scalars)
{
    reads r = {true, true, true, true, false};
    for (const gml_stmt *stmt = s->scalars; with_scalars && stmt != s->inner; stmt = stmt->next)
        look(s, stmt->as.store.value, &r);
    look(s, s->store->as.store.value, &r);
    return r;
}

/* Whether `expr` loads `mem`. */
static bool loads(const gml_expr *expr, const gml_mem *mem)
{
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: return false;
    case GML_EXPR_LOAD: return expr->as.load.mem == mem;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            if (loads(expr->as.scalar.args[i], mem))
                return true;
        return false;
    case GML_EXPR_REDUCE: return loads(expr->as.reduce.body, mem);
    }
    return false;
}

static bool stage_loads(const stage *s, const gml_mem *mem)
{
    for (const gml_stmt *stmt = s->scalars; stmt != s->inner; stmt = stmt->next)
        if (loads(stmt->as.store.value, mem))
            return true;
    return loads(s->store->as.store.value, mem);
}

/* An array of one stage: of rank 2, stored at [a, b]. */
static bool check_array(cutter *c, const stage *s)
{
    const gml_mem *mem = s->store->as.store.mem;
    const gml_expr *const *index = s->store->as.store.index;
    if (mem->rank != 2 || !gml_dim_is_const(mem->dims[0]) || !gml_dim_is_const(mem->dims[1]) ||
        !is_axis(index[0], s->a) || !is_axis(index[1], s->b))
        return false;
    if (c->n_rows == 0)
        c->n_rows = mem->dims[0];
    return mem->dims[0] == c->n_rows;
}

static bool classify(cutter *c, stage *s)
{
    reads r = look_all(s, true);
    bool is_local = is_array(s->store->as.store.mem);
    if (is_local && !check_array(c, s))
        return false;
    s->by_rows = r.rows && (is_local || r.any);
    if (s->by_rows)
        return s->a->extent == c->n_rows;
    s->own = r.columns_a ? s->a : s->b;
    if (c->n_columns == 0)
        c->n_columns = s->own->extent;
    return !is_local && r.any && s->scalars == s->inner && (r.columns_a || r.columns_b) &&
           s->own->extent == c->n_columns;
}

/* What stages of columns read, and what that is computed from, element by element. */
static bool mark_needed(cutter *c)
{
    for (unsigned k = c->n_stages; k-- > 0;) {
        stage *s = &c->stages[k];
        const gml_mem *mem = s->store->as.store.mem;
        for (unsigned i = k + 1; is_array(mem) && i < c->n_stages; i++) {
            const stage *later = &c->stages[i];
            s->is_needed |= (!later->by_rows || later->is_needed) &&
                            loads(later->store->as.store.value, mem);
        }
        if (s->is_needed && (!look_all(s, false).elements || s->b->extent != c->n_columns))
            return false;
    }
    return true;
}

static bool read_stages(cutter *c)
{
    const gml_stmt *list = c->kernel->body;
    for (c->n_shared = 0; c->n_shared < c->kernel->n_shared; list = list->as.loop.body)
        c->shared[c->n_shared++] = list->as.loop.axis;
    for (; list; list = list->next) {
        if (c->n_stages == GML_MAX_STAGES || !read_stage(list, &c->stages[c->n_stages]) ||
            !classify(c, &c->stages[c->n_stages++]))
            return false;
    }
    return c->n_rows > 0 && mark_needed(c);
}

/* ---- blocks -------------------------------------------------------------------------------
 */

/* `n` as `count` blocks of `size`, each `step` behind the one before. */
typedef struct blocks {
    int64_t count, size, step;
} blocks;

static blocks divide(int64_t n, int64_t most)
{
    blocks b = {1, n, 0};
    while (b.size > most || b.step > b.size) {
        b.count++;
        int64_t gaps = b.count - 1;
        b.size =
            most - ((most - n % gaps) % gaps + gaps) % gaps; /* so that gaps divide the rest */
        if (b.size <= 0)
            b.size = most + 1;
        b.step = (n - b.size) / gaps;
    }
    return b;
}

/* Whether the array of stage `k` can lie over `old`, of another stage: it is computed from that
 * element by element, and nobody in this unit reads `old` later. */
static bool lies_over(const cutter *c, unsigned k, const gml_mem *old)
{
    const stage *s = &c->stages[k];
    const gml_mem *mem = s->store->as.store.mem;
    if (old->dtype != mem->dtype || old->dims[1] != mem->dims[1] ||
        !loads(s->store->as.store.value, old) || !look_all(s, false).elements)
        return false;
    for (unsigned i = k + 1; i < c->n_stages; i++) {
        const stage *later = &c->stages[i];
        bool is_here = c->is_columns ? !later->by_rows || later->is_needed : later->by_rows;
        if (is_here && (c->is_columns ? loads(later->store->as.store.value, old)
                                      : stage_loads(later, old)))
            return false;
    }
    return true;
}

/* By stage, the one whose array its own lies over, or itself; returns the bytes of a row, or a
 * column, of all arrays that there are then. */
static int64_t share_arrays(const cutter *c, unsigned *out_over)
{
    int64_t bytes = 0;
    bool is_taken[GML_MAX_STAGES] = {false};
    for (unsigned k = 0; k < c->n_stages; k++) {
        const stage *s = &c->stages[k];
        out_over[k] = k;
        if (!is_array(s->store->as.store.mem) || (c->is_columns && !s->is_needed))
            continue;
        for (unsigned i = 0; i < k && out_over[k] == k; i++)
            if (is_array(c->stages[i].store->as.store.mem) && !is_taken[i] &&
                lies_over(c, k, c->stages[i].store->as.store.mem)) {
                out_over[k] = i;
                is_taken[i] = true;
            }
        if (out_over[k] == k)
            bytes += (int64_t)gml_dtype_size(s->store->as.store.mem->dtype) *
                     (c->is_columns ? c->n_rows : s->b->extent);
    }
    return bytes;
}

/* ---- expressions of a unit ----------------------------------------------------------------
 */

static const gml_expr *rewrite(cutter *c, const gml_expr *expr);

static const gml_expr *rewrite_load(cutter *c, const gml_expr *load)
{
    gml_kernel *kernel = c->kernel;
    const gml_mem *mem = load->as.load.mem;
    const gml_expr *index[GML_MAX_RANK] = {NULL};
    for (int d = 0; d < mem->rank; d++)
        index[d] = rewrite(c, load->as.load.index[d]);
    if (mem->role != GML_MEM_LOCAL)
        return gml_expr_load(kernel, mem, index,
                             load->as.load.pred ? rewrite(c, load->as.load.pred) : NULL);
    const gml_mem *copy = c->copy[mem->number];
    if (!copy) {
        c->failed = true;
        return load;
    }
    if (mem->rank == 2)
        index[c->is_columns ? 1 : 0] = gml_expr_axis(kernel, c->within);
    else if (c->is_columns) { /* a row's scalar, kept */
        for (unsigned i = 0; i < c->n_shared; i++)
            index[i] = gml_expr_axis(kernel, c->shared[i]);
        index[c->n_shared] = gml_expr_axis(kernel, c->stage->a);
    }
    return gml_expr_load(kernel, copy, index, NULL);
}

static const gml_expr *rewrite(cutter *c, const gml_expr *expr)
{
    const gml_expr *args[3] = {NULL, NULL, NULL};
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM: return expr;
    case GML_EXPR_AXIS: return expr->as.axis == c->from ? c->at : expr;
    case GML_EXPR_LOAD: return rewrite_load(c, expr);
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            args[i] = rewrite(c, expr->as.scalar.args[i]);
        return gml_expr_scalar(c->kernel, expr->as.scalar.op, expr->dtype,
                               expr->as.scalar.flags, args);
    case GML_EXPR_REDUCE:
        return gml_expr_reduce(c->kernel, expr->as.reduce.op, expr->as.reduce.axes,
                               expr->as.reduce.n_axes, rewrite(c, expr->as.reduce.body));
    }
    return expr;
}

/* ---- units --------------------------------------------------------------------------------
 */

static uint64_t outer_bits(const cutter *c)
{
    uint64_t bits = UINT64_C(1) << c->block->number;
    for (unsigned i = 0; i < c->n_shared; i++)
        bits |= UINT64_C(1) << c->shared[i]->number;
    return bits;
}

/* Of a row or column of the unit in the making: the block before ends below it. */
static const gml_expr *is_own(const cutter *c, blocks b)
{
    gml_kernel *kernel = c->kernel;
    if (b.step == 0 || b.step == b.size)
        return NULL;
    const gml_expr *zero = gml_expr_int(kernel, GML_I64, 0);
    const gml_expr *again = gml_expr_int(kernel, GML_I64, b.size - b.step);
    const gml_expr *first[] = {gml_expr_axis(kernel, c->block), zero, NULL};
    const gml_expr *later[] = {gml_expr_axis(kernel, c->within), again, NULL};
    const gml_expr *either[] = {gml_expr_scalar(kernel, GML_X_EQ, GML_BOOL, 0, first),
                                gml_expr_scalar(kernel, GML_X_GE, GML_BOOL, 0, later), NULL};
    return gml_expr_scalar(kernel, GML_X_OR, GML_BOOL, 0, either);
}

/* The loops around a unit: those shared by all, and that of the blocks. */
static gml_block_unit begin_unit(cutter *c, blocks b)
{
    gml_kernel *kernel = c->kernel;
    const gml_axis **outer = gml_new_array(kernel->arena, const gml_axis *, c->n_shared + 1);
    for (unsigned i = 0; i < c->n_shared; i++)
        outer[i] = c->shared[i];
    c->block = outer[c->n_shared] = gml_kernel_add_axis(kernel, b.count);
    c->within = gml_kernel_add_axis(kernel, b.size);
    c->at = gml_index_op(kernel, GML_X_ADD,
                         gml_index_op(kernel, GML_X_MUL, gml_expr_axis(kernel, c->block),
                                      gml_expr_int(kernel, GML_I64, b.step)),
                         gml_expr_axis(kernel, c->within));
    c->is_own = is_own(c, b);
    return (gml_block_unit){.outer = outer, .n_outer = c->n_shared + 1};
}

/* The array of stage `k` in this unit. */
static const gml_mem *make_array(cutter *c, unsigned k, const unsigned *over, blocks b)
{
    const gml_mem *mem = c->stages[k].store->as.store.mem;
    gml_dim dims[2] = {mem->dims[0], mem->dims[1]};
    if (over[k] < k)
        return c->copy[c->stages[over[k]].store->as.store.mem->number];
    dims[c->is_columns ? 1 : 0] = b.size;
    gml_mem *copy =
        gml_kernel_add_mem(c->kernel, GML_MEM_LOCAL, mem->name, mem->dtype, 2, dims);
    copy->depends = outer_bits(c);
    return copy;
}

/* A row's scalar, in every head. */
static gml_mem *make_saved(cutter *c, const gml_mem *mem)
{
    gml_dim dims[GML_MAX_RANK];
    for (unsigned i = 0; i < c->n_shared; i++)
        dims[i] = c->shared[i]->extent;
    dims[c->n_shared] = c->n_rows;
    return gml_kernel_add_mem(c->kernel, GML_MEM_LOCAL, "rows", mem->dtype,
                              (int)c->n_shared + 1, dims);
}

/* The scalars of a stage by rows; those that stages of columns want are kept as well. */
static void add_scalars(cutter *c, gml_stmt **body)
{
    gml_kernel *kernel = c->kernel;
    const stage *s = c->stage;
    for (const gml_stmt *stmt = s->scalars; stmt != s->inner; stmt = stmt->next) {
        const gml_mem *mem = stmt->as.store.mem;
        gml_mem *copy =
            gml_kernel_add_mem(kernel, GML_MEM_LOCAL, mem->name, mem->dtype, 0, NULL);
        copy->depends = outer_bits(c) | UINT64_C(1) << c->within->number;
        gml_stmt_append(body,
                        gml_stmt_store(kernel, copy, NULL, rewrite(c, stmt->as.store.value)));
        c->copy[mem->number] = copy;
        if (!s->is_needed || !loads(s->store->as.store.value, mem))
            continue;
        const gml_expr *index[GML_MAX_RANK];
        for (unsigned i = 0; i < c->n_shared; i++)
            index[i] = gml_expr_axis(kernel, c->shared[i]);
        index[c->n_shared] = c->at;
        const gml_mem *saved = c->saved[mem->number] = make_saved(c, mem);
        gml_stmt *keep =
            gml_stmt_store(kernel, saved, index, gml_expr_load(kernel, copy, NULL, NULL));
        keep->as.store.pred = c->is_own;
        gml_stmt_append(body, keep);
    }
}

/* The store of a stage, with its indices. */
static gml_stmt *make_store(cutter *c, const gml_mem *array)
{
    const gml_stmt *store = c->stage->store;
    const gml_mem *mem = array ? array : store->as.store.mem;
    const gml_expr *index[GML_MAX_RANK];
    for (int d = 0; d < mem->rank; d++)
        index[d] = rewrite(c, store->as.store.index[d]);
    if (array)
        index[c->is_columns ? 1 : 0] = gml_expr_axis(c->kernel, c->within);
    gml_stmt *made = gml_stmt_store(c->kernel, mem, index, rewrite(c, store->as.store.value));
    made->as.store.pred = array ? NULL : c->is_own;
    return made;
}

static gml_block_unit make_rows(cutter *c, const unsigned *over, blocks b)
{
    gml_kernel *kernel = c->kernel;
    gml_block_unit unit = begin_unit(c, b);
    gml_stmt *stages = NULL;
    for (unsigned k = 0; k < c->n_stages; k++) {
        const stage *s = c->stage = &c->stages[k];
        gml_stmt *body = NULL;
        if (!s->by_rows)
            continue;
        c->from = s->a;
        add_scalars(c, &body);
        const gml_mem *mem = s->store->as.store.mem;
        const gml_mem *array = is_array(mem) ? make_array(c, k, over, b) : NULL;
        gml_stmt_append(&body, gml_stmt_for(kernel, s->b, make_store(c, array)));
        if (array)
            c->copy[mem->number] = array;
        gml_stmt_append(&stages, gml_stmt_for(kernel, c->within, body));
    }
    unit.stages = stages;
    return unit;
}

static gml_block_unit make_columns(cutter *c, const unsigned *over, blocks b)
{
    gml_kernel *kernel = c->kernel;
    gml_block_unit unit = begin_unit(c, b);
    gml_stmt *stages = NULL;
    for (size_t i = 0; i < c->n_locals; i++)
        if (c->saved[i])
            c->copy[i] = c->saved[i];
    for (unsigned k = 0; k < c->n_stages; k++) {
        const stage *s = c->stage = &c->stages[k];
        const gml_mem *mem = s->store->as.store.mem;
        if (s->by_rows && !s->is_needed)
            continue;
        c->from = s->by_rows ? s->b : s->own;
        const gml_mem *array = s->by_rows ? make_array(c, k, over, b) : NULL;
        const gml_axis *outer = s->a == c->from ? c->within : s->a;
        const gml_axis *inner = s->b == c->from ? c->within : s->b;
        gml_stmt *store = make_store(c, array);
        if (array)
            c->copy[mem->number] = array;
        gml_stmt_append(&stages,
                        gml_stmt_for(kernel, outer, gml_stmt_for(kernel, inner, store)));
    }
    unit.stages = stages;
    return unit;
}

unsigned gml_blocks_cut(gml_kernel *kernel, int64_t rows, int64_t bytes,
                        gml_block_unit out_units[GML_MAX_BLOCK_UNITS])
{
    cutter c = {.kernel = kernel};
    unsigned over_rows[GML_MAX_STAGES] = {0};
    unsigned over_columns[GML_MAX_STAGES] = {0};
    bool has_columns = false;
    if (!read_stages(&c) || c.n_rows > INT32_MAX)
        return 0;
    for (unsigned k = 0; k < c.n_stages; k++)
        has_columns |= !c.stages[k].by_rows;
    int64_t row = share_arrays(&c, over_rows);
    c.is_columns = true;
    int64_t column = share_arrays(&c, over_columns);
    if ((c.n_rows <= rows && c.n_rows * row <= bytes) || row <= 0 ||
        (has_columns && column <= 0))
        return 0;
    int64_t most_rows = bytes / row < rows ? bytes / row : rows;
    int64_t most_columns = has_columns && bytes / column < rows ? bytes / column : rows;
    if (most_rows < GML_LEAST_ROWS || most_columns < GML_LEAST_ROWS ||
        !gml_kernel_has_axes(kernel, 4))
        return 0;
    c.n_locals = kernel->locals.count;
    c.copy = gml_new_array(kernel->arena, const gml_mem *, c.n_locals);
    c.saved = gml_new_array(kernel->arena, const gml_mem *, c.n_locals);
    c.is_columns = false;
    out_units[0] = make_rows(&c, over_rows, divide(c.n_rows, most_rows));
    if (!has_columns)
        return c.failed ? 0 : 1;
    c.is_columns = true;
    out_units[1] = make_columns(&c, over_columns, divide(c.n_columns, most_columns));
    return c.failed ? 0 : 2;
}
