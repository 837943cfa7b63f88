/* codegen/llvm/gpu_list.c - statements of a GPU's kernel.
 *
 * A team's threads walk through a list side by side. A loop of stores is dealt out to them; a
 * loop with scalars of its own is dealt out to the block's warps, or all walk through it. What
 * one thread stores in the block's memory others may load after a barrier. */
#include "codegen/llvm/device.h"
#include "codegen/llvm/gpu_columns.h"
#include "ir/index.h"

#define GML_WARP 32

/* ---- one thread alone ---------------------------------------------------------------------
 */

static void hoist_stores(gml_emit *e, const gml_stmt *list, uint64_t inner)
{
    for (; list; list = list->next)
        gml_emit_hoist(e, list->as.store.value, inner);
}

void gml_gpu_emit_flat(gml_emit *e, const gml_gpu_nest *nest, LLVMValueRef begin,
                       LLVMValueRef step)
{
    const gml_axis *last = nest->n_loops > 0 ? nest->loops[nest->n_loops - 1] : NULL;
    gml_dim units = gml_gpu_units(e->kernel, nest);
    LLVMValueRef end = gml_emit_dim(e, units);
    bool were_few = e->few_units;
    e->few_units = gml_gpu_are_few(units);
    gml_loop loop;
    gml_loop_begin(e, &loop, begin, end, 1, NULL, 0);
    loop.step = step;
    LLVMValueRef unit = loop.counter;
    for (unsigned i = nest->n_loops; i-- > 0;) {
        bool in_vectors = nest->loops[i] == last && nest->lanes > 1;
        gml_dim extent = nest->loops[i]->extent;
        if (in_vectors)
            extent /= nest->lanes;
        LLVMValueRef at = i == 0 ? unit : gml_emit_peel(e, &unit, extent);
        if (in_vectors)
            at = LLVMBuildNSWMul(e->b, at, gml_ll_int(e, nest->lanes), "");
        e->axis[nest->loops[i]->number] = at;
    }
    if (nest->lanes > 1) {
        hoist_stores(e, nest->body, UINT64_C(1) << last->number);
        e->vector = last;
        e->lanes = nest->lanes;
    }
    for (const gml_stmt *store = nest->body; store; store = store->next)
        if (store->as.store.mem->role == GML_MEM_SUM)
            gml_gpu_columns_add(e, store);
        else
            gml_emit_store(e, store);
    e->vector = NULL;
    e->lanes = 1;
    e->few_units = were_few;
    gml_loop_end(e, &loop, NULL);
}

/* ---- what statements touch ----------------------------------------------------------------
 */

/* A local that other threads of the block see. */
static bool is_apart(const gml_emit *e, const gml_mem *mem)
{
    return mem->role == GML_MEM_LOCAL && e->apart[mem->number];
}

/* And which these load again: its stores and loads need barriers between. */
static bool meets(const gml_emit *e, const gml_mem *mem)
{
    return mem->role == GML_MEM_LOCAL && e->meets[mem->number];
}

/* Whether an expression loads `mem`; NULL: any local that others store. */
static bool loads_mem(const gml_emit *e, const gml_expr *expr, const gml_mem *mem,
                      unsigned depth)
{
    if (depth == 0)
        return true;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: return false;
    case GML_EXPR_LOAD:
        for (int d = 0; d < expr->as.load.mem->rank; d++)
            if (loads_mem(e, expr->as.load.index[d], mem, depth - 1))
                return true;
        if (expr->as.load.pred && loads_mem(e, expr->as.load.pred, mem, depth - 1))
            return true;
        return mem ? expr->as.load.mem == mem : meets(e, expr->as.load.mem);
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            if (loads_mem(e, expr->as.scalar.args[i], mem, depth - 1))
                return true;
        return false;
    case GML_EXPR_REDUCE: return loads_mem(e, expr->as.reduce.body, mem, depth - 1);
    }
    return false;
}

/* The same of a list of statements with what is inside, or its first alone. */
static bool list_loads(const gml_emit *e, const gml_stmt *list, bool only_first,
                       const gml_mem *mem)
{
    for (; list; list = only_first ? NULL : list->next)
        if (list->kind == GML_STMT_FOR ? list_loads(e, list->as.loop.body, false, mem)
                                       : loads_mem(e, list->as.store.value, mem, 128))
            return true;
    return false;
}

static bool list_stores(const gml_emit *e, const gml_stmt *list, bool only_first)
{
    for (; list; list = only_first ? NULL : list->next)
        if (list->kind == GML_STMT_FOR ? list_stores(e, list->as.loop.body, false)
                                       : meets(e, list->as.store.mem))
            return true;
    return false;
}

static bool needs_barrier(const gml_emit *e, const gml_stmt *list)
{
    return list_stores(e, list, true) || list_loads(e, list, true, NULL);
}

/* Whether every load of `mem` in an expression is of the row that `axis` says. */
static bool loads_own_row(const gml_expr *expr, const gml_mem *mem, const gml_axis *axis,
                          unsigned depth)
{
    if (depth == 0)
        return false;
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: return true;
    case GML_EXPR_LOAD:
        return expr->as.load.mem != mem ||
               (mem->rank > 1 && expr->as.load.index[0]->kind == GML_EXPR_AXIS &&
                expr->as.load.index[0]->as.axis == axis);
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            if (!loads_own_row(expr->as.scalar.args[i], mem, axis, depth - 1))
                return false;
        return true;
    case GML_EXPR_REDUCE: return loads_own_row(expr->as.reduce.body, mem, axis, depth - 1);
    }
    return false;
}

static bool stores_mem(const gml_stmt *list, const gml_mem *mem)
{
    for (; list; list = list->next)
        if (list->kind == GML_STMT_FOR ? stores_mem(list->as.loop.body, mem)
                                       : list->as.store.mem == mem)
            return true;
    return false;
}

/* Whether an iteration of the loop over `axis` touches its own row of `mem` alone, and stores
 * there last: a warp's lanes have read what they need of it by then, for reductions end with
 * all of them. */
static bool keeps_to_row(const gml_stmt *list, const gml_mem *mem, const gml_axis *axis)
{
    for (; list; list = list->next) {
        if (list->kind == GML_STMT_FOR) {
            if ((list->next && stores_mem(list->as.loop.body, mem)) ||
                !keeps_to_row(list->as.loop.body, mem, axis))
                return false;
            continue;
        }
        const gml_expr *const *index = list->as.store.index;
        if (!loads_own_row(list->as.store.value, mem, axis, 64) ||
            (list->as.store.mem == mem &&
             (mem->rank < 2 || index[0]->kind != GML_EXPR_AXIS || index[0]->as.axis != axis)))
            return false;
    }
    return true;
}

/* Whether warps may each take iterations of a loop over `axis` with this body: of what they
 * store where others see it they load nothing, or their own row. */
static bool suits_warps(const gml_emit *e, const gml_axis *axis, const gml_stmt *all,
                        const gml_stmt *list)
{
    for (; list; list = list->next) {
        if (list->kind == GML_STMT_FOR) {
            if (!suits_warps(e, axis, all, list->as.loop.body))
                return false;
        } else if (is_apart(e, list->as.store.mem) &&
                   list_loads(e, all, false, list->as.store.mem) &&
                   !keeps_to_row(all, list->as.store.mem, axis)) {
            return false;
        }
    }
    return true;
}

/* ---- a team -------------------------------------------------------------------------------
 */

static void team_store(gml_emit *e, const gml_stmt *store)
{
    const gml_mem *mem = store->as.store.mem;
    LLVMBasicBlockRef after = NULL;
    if (mem->role != GML_MEM_LOCAL || e->apart[mem->number]) {
        /* takes all threads; what else is loaded may lie where the one stores */
        gml_emit_reductions(e, store->as.store.value);
        after =
            gml_if_begin(e, LLVMBuildICmp(e->b, LLVMIntEQ, e->team.lane, gml_ll_int(e, 0), ""));
    } else {
        gml_emit_expr(e, store->as.store.value);
    }
    gml_team team = e->team;
    e->team.threads = 0;
    gml_emit_store(e, store);
    e->team = team;
    if (after)
        gml_if_end(e, after);
}

/* The iterations of a loop, each by a warp. */
static void warps_loop(gml_emit *e, const gml_axis *axis, const gml_stmt *body)
{
    gml_team block = e->team;
    LLVMValueRef warp = LLVMBuildLShr(e->b, block.lane, gml_ll_int(e, 5), "");
    e->team.threads = GML_WARP;
    e->team.is_warp = true;
    e->team.lane = LLVMBuildAnd(e->b, block.lane, gml_ll_int(e, GML_WARP - 1), "");
    gml_loop loop;
    gml_loop_begin(e, &loop, warp, gml_emit_dim(e, axis->extent), block.threads / GML_WARP,
                   NULL, 0);
    e->axis[axis->number] = loop.counter;
    gml_gpu_emit_list(e, body);
    gml_loop_end(e, &loop, NULL);
    e->team = block;
}

static void team_loop(gml_emit *e, const gml_stmt *stmt)
{
    const gml_axis *axis = stmt->as.loop.axis;
    const gml_stmt *body = stmt->as.loop.body;
    gml_stmt alone = *stmt;
    alone.next = NULL;
    gml_gpu_nest nest = gml_gpu_find_nest(e->kernel, &alone);
    if (nest.is_flat) {
        gml_team team = e->team;
        e->team.threads = 0;
        gml_gpu_emit_flat(e, &nest, team.lane, gml_ll_int(e, team.threads));
        e->team = team;
        return;
    }
    if (!e->team.is_warp && e->team.threads > GML_WARP && suits_warps(e, axis, body, body)) {
        warps_loop(e, axis, body);
        return;
    }
    gml_loop loop;
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_emit_dim(e, axis->extent), 1, NULL, 0);
    e->axis[axis->number] = loop.counter;
    gml_gpu_emit_list(e, body);
    gml_loop_end(e, &loop, NULL);
}

void gml_gpu_emit_stmt(gml_emit *e, const gml_stmt *stmt)
{
    if (stmt->kind == GML_STMT_STORE)
        team_store(e, stmt);
    else
        team_loop(e, stmt);
}

void gml_gpu_emit_list(gml_emit *e, const gml_stmt *list)
{
    for (; list; list = list->next) {
        gml_gpu_emit_stmt(e, list);
        /* written before others read, and read before it is written again */
        if (!e->team.is_warp && needs_barrier(e, list))
            gml_dev_barrier(e);
    }
}
