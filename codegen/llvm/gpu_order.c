/* codegen/llvm/gpu_order.c - which accesses of a block's threads need a barrier between. */
#include "codegen/llvm/gpu_order.h"

#include <string.h>

gml_gpu_accesses gml_gpu_accesses_make(const gml_emit *e)
{
    size_t n = e->kernel->locals.count + 1;
    return (gml_gpu_accesses){.loads = gml_new_array(e->kernel->arena, bool, n),
                              .stores = gml_new_array(e->kernel->arena, bool, n)};
}

void gml_gpu_accesses_clear(const gml_emit *e, gml_gpu_accesses *a)
{
    memset(a->loads, 0, e->kernel->locals.count * sizeof *a->loads);
    memset(a->stores, 0, e->kernel->locals.count * sizeof *a->stores);
}

static void note(const gml_emit *e, const gml_mem *mem, bool *marks)
{
    if (mem->role == GML_MEM_LOCAL && e->meets[mem->number])
        marks[mem->number] = true;
}

void gml_gpu_accesses_add_loads(const gml_emit *e, gml_gpu_accesses *a, const gml_expr *expr)
{
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: return;
    case GML_EXPR_LOAD:
        note(e, expr->as.load.mem, a->loads);
        for (int d = 0; d < expr->as.load.mem->rank; d++)
            gml_gpu_accesses_add_loads(e, a, expr->as.load.index[d]);
        if (expr->as.load.pred)
            gml_gpu_accesses_add_loads(e, a, expr->as.load.pred);
        return;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            gml_gpu_accesses_add_loads(e, a, expr->as.scalar.args[i]);
        return;
    case GML_EXPR_REDUCE: gml_gpu_accesses_add_loads(e, a, expr->as.reduce.body); return;
    }
}

void gml_gpu_accesses_add(const gml_emit *e, gml_gpu_accesses *a, const gml_stmt *stmt)
{
    if (stmt->kind == GML_STMT_STORE) {
        note(e, stmt->as.store.mem, a->stores);
        gml_gpu_accesses_add_loads(e, a, stmt->as.store.value);
        return;
    }
    for (const gml_stmt *inside = stmt->as.loop.body; inside; inside = inside->next)
        gml_gpu_accesses_add(e, a, inside);
}

bool gml_gpu_accesses_meet(const gml_emit *e, const gml_gpu_accesses *before,
                           const gml_gpu_accesses *after)
{
    for (size_t i = 0; i < e->kernel->locals.count; i++)
        if ((before->stores[i] && (after->loads[i] || after->stores[i])) ||
            (before->loads[i] && after->stores[i]))
            return true;
    return false;
}

bool gml_gpu_accesses_any(const gml_emit *e, const gml_gpu_accesses *a)
{
    for (size_t i = 0; i < e->kernel->locals.count; i++)
        if (a->loads[i] || a->stores[i])
            return true;
    return false;
}
