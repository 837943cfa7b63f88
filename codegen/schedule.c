/* codegen/schedule.c - which loop of a kernel becomes threads, lanes or plain code. */
#include "codegen/schedule.h"

#include "ir/index.h"

/* A unit of an elementwise kernel is about this many elements: some microseconds of work. */
#define GML_BLOCK  4096
/* A vector axis this short is unrolled inside the loop around it, which then is no unit. */
#define GML_NARROW 64

int64_t gml_schedule_stride(gml_kernel *kernel, const gml_mem *mem,
                            const gml_expr *const *index, const gml_axis *axis)
{
    const gml_expr *flat = gml_index_flat(kernel, mem, index);
    gml_linear sum;
    if (!(flat->free >> axis->number & 1))
        return 0;
    if (!gml_index_linear(flat, &sum))
        return GML_STRIDE_UNKNOWN;
    int64_t stride = 0;
    for (unsigned i = 0; i < sum.n_terms; i++) {
        const gml_expr *atom = sum.terms[i].atom;
        if (!(atom->free >> axis->number & 1))
            continue;
        if (atom->kind != GML_EXPR_AXIS)
            return GML_STRIDE_UNKNOWN;
        stride = sum.terms[i].coefficient;
    }
    return stride;
}

/* ---- what vectors over an axis would cost -------------------------------------------------
 */

typedef struct counter {
    gml_kernel *kernel;
    const gml_axis *axis;
    gml_census found;
    unsigned budget;
} counter;

static void count(counter *c, const gml_expr *expr)
{
    if (!(expr->free >> c->axis->number & 1) || c->budget == 0)
        return;
    c->budget--;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: break;
    case GML_EXPR_LOAD: {
        int64_t stride =
            gml_schedule_stride(c->kernel, expr->as.load.mem, expr->as.load.index, c->axis);
        c->found.along += stride == 1;
        c->found.across += stride != 1 && stride != 0;
        break;
    }
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            count(c, expr->as.scalar.args[i]);
        break;
    case GML_EXPR_REDUCE: count(c, expr->as.reduce.body); break;
    }
}

gml_census gml_schedule_census(gml_kernel *kernel, const gml_expr *expr, const gml_axis *axis)
{
    counter c = {.kernel = kernel, .axis = axis, .budget = 4096};
    count(&c, expr);
    return c.found;
}

static const gml_expr *first_reduction(const gml_expr *expr, unsigned depth)
{
    if (expr->kind == GML_EXPR_REDUCE)
        return expr;
    if (expr->kind != GML_EXPR_SCALAR || depth == 0)
        return NULL;
    for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++) {
        const gml_expr *found = first_reduction(expr->as.scalar.args[i], depth - 1);
        if (found)
            return found;
    }
    return NULL;
}

static const gml_expr *first_load(const gml_expr *expr, unsigned depth)
{
    if (expr->kind == GML_EXPR_LOAD)
        return expr;
    if (expr->kind != GML_EXPR_SCALAR || depth == 0)
        return NULL;
    for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++) {
        const gml_expr *found = first_load(expr->as.scalar.args[i], depth - 1);
        if (found)
            return found;
    }
    return NULL;
}

const gml_expr *gml_schedule_first_load(const gml_expr *expr)
{
    return first_load(expr, 64);
}

static bool is_short(const gml_axis *axis)
{
    return gml_dim_is_const(axis->extent) && axis->extent < 4;
}

bool gml_schedule_reduce_vector(gml_kernel *kernel, const gml_expr *reduce)
{
    const gml_axis *last = reduce->as.reduce.axes[reduce->as.reduce.n_axes - 1];
    gml_census c = gml_schedule_census(kernel, reduce->as.reduce.body, last);
    return !is_short(last) && c.along >= c.across;
}

bool gml_schedule_store_vector(gml_kernel *kernel, const gml_stmt *store, const gml_axis *axis)
{
    const gml_expr *value = store->as.store.value;
    if (gml_schedule_stride(kernel, store->as.store.mem, store->as.store.index, axis) != 1)
        return false;
    if (is_short(axis))
        return false;
    const gml_expr *reduce = first_reduction(value, 64);
    if (!reduce || !(reduce->free >> axis->number & 1))
        return true;
    gml_census over_store = gml_schedule_census(kernel, value, axis);
    gml_census over_reduce = gml_schedule_census(
        kernel, reduce->as.reduce.body, reduce->as.reduce.axes[reduce->as.reduce.n_axes - 1]);
    if (is_short(reduce->as.reduce.axes[reduce->as.reduce.n_axes - 1]))
        return true;
    /* a gather a lane costs far more than the combination at the end of a reduction */
    return over_store.across <= over_reduce.across;
}

static bool loads(const gml_expr *expr, const gml_mem *mem, unsigned depth)
{
    if (depth == 0)
        return true;
    switch (expr->kind) {
    case GML_EXPR_LOAD: return expr->as.load.mem == mem;
    case GML_EXPR_REDUCE: return loads(expr->as.reduce.body, mem, depth - 1);
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            if (loads(expr->as.scalar.args[i], mem, depth - 1))
                return true;
        return false;
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: break;
    }
    return false;
}

/* Whether a store of the list reads what another one writes. */
static bool feeds_itself(const gml_stmt *list)
{
    for (const gml_stmt *writer = list; writer; writer = writer->next)
        for (const gml_stmt *reader = list; reader; reader = reader->next)
            if (loads(reader->as.store.value, writer->as.store.mem, 64))
                return true;
    return false;
}

/* Stores in one loop run as vectors together or not at all. */
bool gml_schedule_list_vector(gml_kernel *kernel, const gml_stmt *list, const gml_axis *axis)
{
    size_t size = gml_dtype_size(list->as.store.value->dtype);
    if (list->next && feeds_itself(list))
        return false;
    for (const gml_stmt *store = list; store; store = store->next)
        if (gml_dtype_size(store->as.store.value->dtype) != size ||
            !gml_schedule_store_vector(kernel, store, axis))
            return false;
    return true;
}

bool gml_schedule_only_stores(const gml_stmt *list)
{
    for (; list; list = list->next)
        if (list->kind != GML_STMT_STORE || list->as.store.mem->rank == 0)
            return false;
    return true;
}

bool gml_schedule_pred_varies(const gml_stmt *store, const gml_axis *axis)
{
    const gml_expr *pred = store->as.store.pred;
    return pred && pred->free >> axis->number & 1;
}

gml_nest gml_schedule_nest(gml_kernel *kernel, const gml_stmt *stmt)
{
    gml_nest nest = {.body = stmt};
    while (nest.body->kind == GML_STMT_FOR && !nest.body->next) {
        const gml_axis *axis = nest.body->as.loop.axis;
        const gml_stmt *inside = nest.body->as.loop.body;
        bool innermost = inside->kind == GML_STMT_STORE && !inside->next;
        bool several = inside->next && gml_schedule_only_stores(inside) &&
                       gml_schedule_list_vector(kernel, inside, axis);
        nest.body = inside;
        if (!innermost && !several) {
            nest.outer[nest.n_outer++] = axis;
            continue;
        }
        nest.vector = axis;
        nest.lanes = gml_schedule_list_vector(kernel, inside, axis);
        bool reduces = first_reduction(inside->as.store.value, 64) != NULL;
        int64_t block = reduces ? 64 : GML_BLOCK;
        if (!gml_dim_is_const(axis->extent) || axis->extent > block)
            nest.block = block;
        bool narrow = nest.lanes && !reduces && !several && gml_dim_is_const(axis->extent) &&
                      axis->extent <= GML_NARROW;
        if (narrow && nest.n_outer > 1)
            nest.serial = nest.outer[--nest.n_outer];
        break;
    }
    return nest;
}
