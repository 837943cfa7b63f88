/* codegen/llvm/gpu_nest.c - which threads of a GPU do what. */
#include "codegen/llvm/gpu.h"
#include "ir/index.h"

/* Shorter reductions are one thread's. */
#define GML_TEAM_DEPTH   32
/* Work inside a unit that one thread does on its own. */
#define GML_LONE_WORK    64
#define GML_FLAT_THREADS 256

static int64_t extent_of(const gml_axis *axis)
{
    return gml_dim_is_const(axis->extent) ? axis->extent : INT64_MAX / 4;
}

static int64_t product(int64_t a, int64_t b)
{
    int64_t c = 0;
    return __builtin_mul_overflow(a, b, &c) ? INT64_MAX / 4 : c;
}

static int64_t depth_of(const gml_expr *reduce)
{
    int64_t depth = 1;
    for (unsigned i = 0; i < reduce->as.reduce.n_axes; i++)
        depth = product(depth, extent_of(reduce->as.reduce.axes[i]));
    return depth;
}

bool gml_gpu_wants_team(gml_kernel *kernel, const gml_expr *reduce, const gml_axis *inner)
{
    if (depth_of(reduce) < GML_TEAM_DEPTH)
        return false;
    if (!inner || !(reduce->free >> inner->number & 1) || extent_of(inner) < GML_TEAM_DEPTH)
        return true;
    const gml_axis *last = reduce->as.reduce.axes[reduce->as.reduce.n_axes - 1];
    gml_census over_last = gml_schedule_census(kernel, reduce->as.reduce.body, last);
    gml_census over_inner = gml_schedule_census(kernel, reduce->as.reduce.body, inner);
    /* whatever reads memory in runs: the threads of a team along the reduction, or neighbours
     * each with their own */
    return over_last.along >= over_last.across && over_inner.across >= over_inner.along;
}

/* ---- lists of statements ------------------------------------------------------------------
 */

typedef struct survey {
    gml_kernel *kernel;
    bool wants_team; /* some reduction does */
    int64_t work;    /* of the largest reduction or loop inside, in elements */
} survey;

static void look(survey *s, const gml_expr *expr, const gml_axis *inner, unsigned depth)
{
    if (depth == 0)
        return;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS:
    case GML_EXPR_LOAD: break;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            look(s, expr->as.scalar.args[i], inner, depth - 1);
        break;
    case GML_EXPR_REDUCE:
        s->wants_team = s->wants_team || gml_gpu_wants_team(s->kernel, expr, inner);
        if (depth_of(expr) > s->work)
            s->work = depth_of(expr);
        break;
    }
}

static void look_list(survey *s, const gml_stmt *list, const gml_axis *inner, int64_t around)
{
    for (; list; list = list->next) {
        if (list->kind == GML_STMT_STORE) {
            if (around > s->work)
                s->work = around;
            look(s, list->as.store.value, inner, 64);
            continue;
        }
        const gml_axis *axis = list->as.loop.axis;
        look_list(s, list->as.loop.body, axis, product(around, extent_of(axis)));
    }
}

static bool has_loop(const gml_stmt *list)
{
    for (; list; list = list->next)
        if (list->kind == GML_STMT_FOR)
            return true;
    return false;
}

static bool stores_array(const gml_stmt *list)
{
    for (; list; list = list->next)
        if (list->kind == GML_STMT_FOR
                ? stores_array(list->as.loop.body)
                : list->as.store.mem->role == GML_MEM_LOCAL && list->as.store.mem->rank > 0)
            return true;
    return false;
}

/* Elements that a thread stores at once: 16 bytes of the widest type, as far as they divide the
 * axis and every store moves by one. */
static unsigned lanes_of(gml_kernel *kernel, const gml_stmt *list, const gml_axis *axis)
{
    size_t widest = 2;
    if (!gml_schedule_only_stores(list))
        return 1;
    for (const gml_stmt *store = list; store; store = store->next) {
        size_t size = gml_dtype_size(store->as.store.mem->dtype);
        widest = size > widest ? size : widest;
        if (gml_schedule_pred_varies(store, axis) ||
            gml_schedule_stride(kernel, store->as.store.mem, store->as.store.index, axis) != 1)
            return 1;
    }
    unsigned lanes = (unsigned)(16 / widest);
    while (lanes > 1 && gml_dim_mod(kernel->dims, axis->extent, lanes) != 0)
        lanes /= 2;
    /* stores of a list that read each other's results are done element by element */
    if (list->next && !gml_schedule_list_vector(kernel, list, axis))
        return 1;
    return lanes;
}

static unsigned threads_for(int64_t work)
{
    unsigned threads = 32;
    while (threads < 512 && threads * 4 < work)
        threads *= 2;
    return threads;
}

gml_gpu_nest gml_gpu_find_nest(gml_kernel *kernel, const gml_stmt *stmt)
{
    gml_gpu_nest nest = {.body = stmt, .lanes = 1, .threads = GML_FLAT_THREADS};
    while (nest.body->kind == GML_STMT_FOR && !nest.body->next) {
        nest.loops[nest.n_loops++] = nest.body->as.loop.axis;
        nest.body = nest.body->as.loop.body;
    }
    const gml_axis *last = nest.n_loops > 0 ? nest.loops[nest.n_loops - 1] : NULL;
    survey s = {.kernel = kernel, .work = 1};
    look_list(&s, nest.body, last, 1);
    nest.is_flat = !s.wants_team && !has_loop(nest.body) && !stores_array(nest.body);
    if (gml_schedule_only_stores(nest.body) && !s.wants_team)
        nest.is_flat = true;
    if (!nest.is_flat)
        nest.threads = threads_for(s.work);
    else if (last)
        nest.lanes = lanes_of(kernel, nest.body, last);
    return nest;
}

gml_dim gml_gpu_units(gml_kernel *kernel, const gml_gpu_nest *nest)
{
    gml_dim units = 1;
    for (unsigned i = 0; i < nest->n_loops; i++) {
        gml_dim extent = nest->loops[i]->extent;
        if (i == nest->n_loops - 1)
            extent = gml_dim_div(kernel->dims, extent, nest->lanes);
        units = gml_dim_mul(kernel->dims, units, extent);
    }
    return units;
}

unsigned gml_gpu_reduce_lanes(gml_kernel *kernel, const gml_expr *reduce)
{
    const gml_axis *last = reduce->as.reduce.axes[reduce->as.reduce.n_axes - 1];
    gml_census c = gml_schedule_census(kernel, reduce->as.reduce.body, last);
    if (!gml_dim_is_const(last->extent) || c.across > 0 || c.along == 0)
        return 1;
    unsigned lanes = gml_dtype_size(reduce->dtype) == 8 ? 2 : 4;
    while (lanes > 1 && last->extent % lanes != 0)
        lanes /= 2;
    return lanes;
}
