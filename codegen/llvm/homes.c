/* codegen/llvm/homes.c - where the locals of a kernel live. */
#include "codegen/llvm/homes.h"

void gml_homes_init(gml_homes *homes, gml_kernel *kernel)
{
    *homes = (gml_homes){.kernel = kernel};
    homes->of = gml_new_array(kernel->arena, gml_home, kernel->locals.count + 1);
    homes->temporaries = gml_new_array(kernel->arena, gml_dim, kernel->locals.count + 1);
}

void gml_homes_note_load(gml_homes *homes, const gml_expr *expr, unsigned phase)
{
    switch (expr->kind) {
    case GML_EXPR_CONST:
    case GML_EXPR_DIM:
    case GML_EXPR_AXIS: break;
    case GML_EXPR_LOAD:
        for (int d = 0; d < expr->as.load.mem->rank; d++)
            gml_homes_note_load(homes, expr->as.load.index[d], phase);
        if (expr->as.load.pred)
            gml_homes_note_load(homes, expr->as.load.pred, phase);
        if (expr->as.load.mem->role == GML_MEM_INPUT && expr->as.load.mem->number < 64 &&
            !homes->ahead)
            homes->read |= UINT64_C(1) << expr->as.load.mem->number;
        if (expr->as.load.mem->role == GML_MEM_LOCAL) {
            gml_home *h = &homes->of[expr->as.load.mem->number];
            h->shared = h->shared || h->stored_in != phase;
            h->inside = h->inside || h->stored_in == phase;
        }
        break;
    case GML_EXPR_SCALAR:
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            gml_homes_note_load(homes, expr->as.scalar.args[i], phase);
        break;
    case GML_EXPR_REDUCE: gml_homes_note_load(homes, expr->as.reduce.body, phase); break;
    }
}

void gml_homes_note(gml_homes *homes, const gml_stmt *list, unsigned phase, bool only_first)
{
    for (; list; list = only_first ? NULL : list->next) {
        if (list->kind == GML_STMT_FOR) {
            gml_homes_note(homes, list->as.loop.body, phase, false);
            continue;
        }
        gml_homes_note_load(homes, list->as.store.value, phase);
        for (int d = 0; d < list->as.store.mem->rank; d++)
            gml_homes_note_load(homes, list->as.store.index[d], phase);
        if (list->as.store.mem->role == GML_MEM_LOCAL)
            homes->of[list->as.store.mem->number].stored_in = phase;
    }
}

void gml_homes_share(gml_homes *homes, const gml_mem *mem)
{
    if (mem && mem->role == GML_MEM_LOCAL)
        homes->of[mem->number].shared = true;
}

gml_dim gml_mem_bytes(gml_kernel *kernel, const gml_mem *mem)
{
    gml_dim bytes = (gml_dim)gml_dtype_size(mem->dtype);
    for (int d = 0; d < mem->rank; d++)
        bytes = gml_dim_mul(kernel->dims, bytes, mem->dims[d]);
    gml_dim lines = gml_dim_ceil_div(kernel->dims, bytes, 64);
    return gml_dim_mul(kernel->dims, gml_dim_add(kernel->dims, lines, 1), 64);
}

void gml_homes_settle(gml_homes *homes)
{
    gml_kernel *kernel = homes->kernel;
    unsigned n_phases = 0;
    for (size_t i = 0; i < kernel->locals.count; i++)
        if (homes->of[i].stored_in > n_phases)
            n_phases = homes->of[i].stored_in;
    gml_dim *used = gml_new_array(kernel->arena, gml_dim, n_phases + 1); /* by phase */
    for (size_t i = 0; i < kernel->locals.count; i++) {
        const gml_mem *mem = kernel->locals.items[i];
        gml_home *h = &homes->of[i];
        if (h->shared) {
            h->temporary = homes->n_temporaries;
            homes->temporaries[homes->n_temporaries++] = gml_mem_bytes(kernel, mem);
        } else if (mem->rank > 0 && h->stored_in != 0) {
            gml_dim *end = &used[h->stored_in];
            h->offset = *end;
            *end = gml_dim_add(kernel->dims, *end, gml_mem_bytes(kernel, mem));
            homes->scratch = gml_dim_max(kernel->dims, homes->scratch, *end);
        }
    }
}
