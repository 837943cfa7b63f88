/* codegen/llvm/kernel.c - a kernel as functions of the CPU: one a phase. */
#include "codegen/llvm/kernel.h"

#include "codegen/llvm/gemm.h"
#include "codegen/llvm/homes.h"
#include "codegen/winograd.h"

#include <stdlib.h>
#include <string.h>

/* A statement, or a contraction whose packing is done. */
typedef struct step {
    const gml_stmt *stmt;
    const gml_gemm *gemm; /* or NULL */
} step;

/* What becomes a function: one step, or all steps of a unit. */
typedef struct work {
    gml_vec(step) steps;
    bool ahead;    /* packs a constant: not a phase */
    bool together; /* the units are those of `outer`, and each does all steps */
    const gml_axis *const *outer;
    unsigned n_outer;
} work;

typedef struct plan {
    gml_emit *e;
    gml_homes homes;
    gml_vec(work) works;
} plan;

/* ---- works --------------------------------------------------------------------------------
 */

static void add_step(plan *p, work *w, const gml_stmt *stmt, const gml_gemm *gemm)
{
    step one = {stmt, gemm};
    gml_push(p->e->kernel->arena, &w->steps, one);
}

static void add_work(plan *p, const gml_stmt *stmt, const gml_gemm *gemm, bool ahead)
{
    work w = {.ahead = ahead};
    add_step(p, &w, stmt, gemm);
    gml_push(p->e->kernel->arena, &p->works, w);
}

static gml_gemm *part_of(plan *p, const gml_gemm *gemm, unsigned part)
{
    gml_gemm *one = gml_new(p->e->kernel->arena, gml_gemm);
    *one = gml_gemm_part(p->e->kernel, gemm, part);
    return one;
}

/* What packs A before the product, if not its units do. */
static const gml_stmt *first_pack(const gml_gemm *part)
{
    return part->band ? NULL : part->pack_a;
}

static bool add_winograd(plan *p, const gml_contraction *c)
{
    gml_kernel *kernel = p->e->kernel;
    gml_winograd *steps = gml_new(kernel->arena, gml_winograd);
    unsigned columns = gml_gemm_columns(p->e->be, c->n->extent);
    if (!gml_winograd_find(kernel, c, columns, steps))
        return false;
    gml_gemm *gemm = gml_new(kernel->arena, gml_gemm);
    gml_gemm_prepare_packed(p->e->be, kernel, &steps->product, steps->weights, gemm);
    add_work(p, steps->pack, NULL, true);
    work unit = {.together = true, .outer = steps->outer, .n_outer = steps->n_outer};
    add_step(p, &unit, steps->fill, NULL);
    add_step(p, &unit, steps->product.store, part_of(p, gemm, 0));
    for (const gml_stmt *stmt = steps->finish; stmt; stmt = stmt->next)
        add_step(p, &unit, stmt, NULL);
    if (steps->n_outer > 0) {
        gml_push(kernel->arena, &p->works, unit);
        return true;
    }
    for (size_t i = 0; i < unit.steps.count; i++)
        add_work(p, unit.steps.items[i].stmt, unit.steps.items[i].gemm, false);
    return true;
}

/* Stages as steps of a unit: contractions become packing statements and themselves. */
static void add_stages(plan *p)
{
    gml_kernel *kernel = p->e->kernel;
    const gml_axis **outer = gml_new_array(kernel->arena, const gml_axis *, kernel->n_shared);
    work unit = {.together = true, .outer = outer, .n_outer = kernel->n_shared};
    const gml_stmt *list = kernel->body;
    for (unsigned i = 0; i < kernel->n_shared; i++, list = list->as.loop.body)
        outer[i] = list->as.loop.axis;
    for (; list; list = list->next) {
        gml_contraction c;
        gml_stmt alone = *list;
        alone.next = NULL;
        if (!gml_contract_find(kernel, &alone, 0, &c)) {
            add_step(p, &unit, list, NULL);
            continue;
        }
        gml_gemm gemm;
        gml_gemm_prepare(p->e->be, kernel, &c, &gemm);
        for (unsigned i = 0; i < gemm.n_parts; i++) {
            const gml_gemm *part = part_of(p, &gemm, i);
            for (const gml_stmt *pack = first_pack(part); pack; pack = pack->next)
                add_step(p, &unit, pack, NULL);
            for (const gml_stmt *pack = part->pack_b; pack; pack = pack->next)
                add_step(p, &unit, pack, NULL);
            add_step(p, &unit, c.store, part);
        }
    }
    gml_push(kernel->arena, &p->works, unit);
}

/* Contractions become packing statements and themselves. */
static void find_work(plan *p, uint64_t constants)
{
    gml_kernel *kernel = p->e->kernel;
    if (kernel->n_shared > 0) {
        add_stages(p);
        return;
    }
    for (const gml_stmt *stmt = kernel->body; stmt; stmt = stmt->next) {
        gml_contraction c;
        gml_stmt alone = *stmt;
        alone.next = NULL;
        if (!gml_contract_find(kernel, &alone, constants, &c)) {
            add_work(p, stmt, NULL, false);
            continue;
        }
        if (add_winograd(p, &c))
            continue;
        gml_gemm gemm;
        gml_gemm_prepare(p->e->be, kernel, &c, &gemm);
        for (unsigned i = 0; i < gemm.n_parts; i++) {
            const gml_gemm *part = part_of(p, &gemm, i);
            for (const gml_stmt *pack = first_pack(part); pack; pack = pack->next)
                add_work(p, pack, NULL, false);
            for (const gml_stmt *pack = part->pack_b; pack; pack = pack->next)
                add_work(p, pack, NULL, c.b_constant);
            add_work(p, c.store, part, false);
        }
    }
}

static void note_step(plan *p, const step *one, unsigned phase, bool together)
{
    const gml_gemm *gemm = one->gemm;
    if (gemm && gemm->band)
        gml_homes_note(&p->homes, gemm->pack_a, phase, true);
    gml_homes_note(&p->homes, one->stmt, phase, gemm == NULL);
    if (!gemm)
        return;
    gml_homes_note_load(&p->homes, gemm->a, phase);
    if (together)
        return;
    gml_homes_share(&p->homes, gemm->band ? NULL : gemm->a_mem);
    gml_homes_share(&p->homes, gemm->sums);
    gml_homes_share(&p->homes, gemm->b_mem);
}

static void settle_locals(plan *p)
{
    gml_homes_init(&p->homes, p->e->kernel);
    for (size_t i = 0; i < p->works.count; i++) {
        const work *w = &p->works.items[i];
        p->homes.ahead = w->ahead;
        for (size_t k = 0; k < w->steps.count; k++)
            note_step(p, &w->steps.items[k], (unsigned)i + 1, w->together);
    }
    gml_homes_settle(&p->homes);
}

/* ---- statements ---------------------------------------------------------------------------
 */

/* The expressions below a statement list, written here as far as they do not depend on `inner`.
 */
static void hoist_list(gml_emit *e, const gml_stmt *list, uint64_t inner)
{
    for (; list; list = list->next) {
        if (list->kind == GML_STMT_FOR)
            hoist_list(e, list->as.loop.body,
                       inner | UINT64_C(1) << list->as.loop.axis->number);
        else
            gml_emit_hoist(e, list->as.store.value, inner);
    }
}

/* Locals stored inside make what loads them depend on the loop, even at extent 1. */
static bool stores_local(const gml_stmt *list)
{
    for (; list; list = list->next)
        if (list->kind == GML_STMT_FOR ? stores_local(list->as.loop.body)
                                       : list->as.store.mem->role == GML_MEM_LOCAL)
            return true;
    return false;
}

static unsigned lanes_for(const gml_emit *e, const gml_stmt *store)
{
    size_t size = gml_dtype_size(store->as.store.value->dtype);
    return e->be->vector_bytes / (size == 8 ? 8 : 4);
}

static void emit_stores(gml_emit *e, const gml_stmt *list)
{
    for (; list; list = list->next)
        gml_emit_store(e, list);
}

/* Stores under their innermost loop, from `begin` to `end` of the axis. */
static void store_loop(gml_emit *e, const gml_stmt *list, const gml_axis *axis, bool lanes,
                       LLVMValueRef begin, LLVMValueRef end)
{
    gml_loop loop;
    hoist_list(e, list, UINT64_C(1) << axis->number);
    if (!lanes) {
        gml_loop_begin(e, &loop, begin, end, 1, NULL, 0);
        e->axis[axis->number] = loop.counter;
        emit_stores(e, list);
        gml_loop_end(e, &loop, NULL);
        return;
    }
    e->vector = axis;
    e->lanes = lanes_for(e, list);
    LLVMValueRef whole = LLVMBuildSub(e->b, end, gml_ll_int(e, (int64_t)e->lanes - 1), "");
    gml_loop_begin(e, &loop, begin, whole, e->lanes, NULL, 0);
    e->axis[axis->number] = loop.counter;
    emit_stores(e, list);
    gml_loop_end(e, &loop, NULL);
    e->vector = NULL;
    /* blocks of the axis are whole vectors but for the last */
    if (gml_dim_is_const(axis->extent) && axis->extent % e->lanes == 0) {
        e->lanes = 1;
        return;
    }
    e->vector = axis;
    LLVMValueRef rest = loop.counter;
    LLVMBasicBlockRef after = gml_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSLT, rest, end, ""));
    e->axis[axis->number] = rest;
    e->mask = gml_emit_lane_mask(e, rest, end);
    emit_stores(e, list);
    e->mask = NULL;
    gml_if_end(e, after);
    e->vector = NULL;
    e->lanes = 1;
}

/* A store under a short vector axis and the loop `serial` around it: the axis is cut into
 * vectors, each with its own expressions, and what does not depend on `serial` is computed
 * before the loop (the row and column of a pixel, while a convolution's operand is packed). */
static void strip_loop(gml_emit *e, const gml_stmt *store, const gml_axis *axis,
                       const gml_axis *serial)
{
    gml_kernel *kernel = e->kernel;
    const gml_mem *mem = store->as.store.mem;
    unsigned lanes = lanes_for(e, store);
    unsigned count = (unsigned)axis->extent / lanes;
    const gml_axis *strips[16];
    const gml_stmt *stores[16];
    for (unsigned v = 0; v < count; v++) {
        strips[v] = gml_kernel_add_axis(kernel, lanes);
        const gml_expr *args[3] = {gml_expr_axis(kernel, strips[v]),
                                   gml_expr_int(kernel, GML_I64, (int64_t)(v * lanes)), NULL};
        const gml_expr *at = gml_expr_scalar(kernel, GML_X_ADD, GML_I64, 0, args);
        const gml_expr *index[GML_MAX_RANK];
        for (int d = 0; d < mem->rank; d++)
            index[d] = gml_expr_substitute(kernel, store->as.store.index[d], &axis, &at, 1);
        stores[v] =
            gml_stmt_store(kernel, mem, index,
                           gml_expr_substitute(kernel, store->as.store.value, &axis, &at, 1));
        e->axis[strips[v]->number] = gml_ll_int(e, 0);
        e->vector = strips[v];
        e->lanes = lanes;
        gml_emit_hoist(e, stores[v]->as.store.value, UINT64_C(1) << serial->number);
        e->vector = NULL;
        e->lanes = 1;
    }
    gml_loop loop;
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_emit_dim(e, serial->extent), 1, NULL, 0);
    e->axis[serial->number] = loop.counter;
    for (unsigned v = 0; v < count; v++) {
        e->vector = strips[v];
        e->lanes = lanes;
        gml_emit_store(e, stores[v]);
        e->vector = NULL;
        e->lanes = 1;
    }
    gml_loop_end(e, &loop, NULL);
}

static void serial_loop(gml_emit *e, const gml_nest *nest, LLVMValueRef begin, LLVMValueRef end)
{
    unsigned lanes = lanes_for(e, nest->body);
    int64_t extent = nest->vector->extent;
    if (gml_emit_transposed(e, nest->body, nest->vector, nest->serial, lanes))
        return;
    if (extent % lanes == 0 && extent / lanes <= 16 &&
        gml_kernel_has_axes(e->kernel, (unsigned)(extent / lanes))) {
        strip_loop(e, nest->body, nest->vector, nest->serial);
        return;
    }
    gml_loop loop;
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_emit_dim(e, nest->serial->extent), 1, NULL,
                   0);
    e->axis[nest->serial->number] = loop.counter;
    store_loop(e, nest->body, nest->vector, nest->lanes, begin, end);
    gml_loop_end(e, &loop, NULL);
}

void gml_emit_list(gml_emit *e, const gml_stmt *list)
{
    for (; list; list = list->next) {
        if (list->kind == GML_STMT_STORE) {
            gml_emit_store(e, list);
            continue;
        }
        const gml_axis *axis = list->as.loop.axis;
        const gml_stmt *body = list->as.loop.body;
        LLVMValueRef zero = gml_ll_int(e, 0);
        LLVMValueRef end = gml_emit_dim(e, axis->extent);
        if (body->kind == GML_STMT_STORE &&
            (!body->next || (gml_schedule_only_stores(body) &&
                             gml_schedule_list_vector(e->kernel, body, axis)))) {
            store_loop(e, body, axis, gml_schedule_list_vector(e->kernel, body, axis), zero,
                       end);
            continue;
        }
        if (!stores_local(body))
            hoist_list(e, body, UINT64_C(1) << axis->number);
        gml_loop loop;
        gml_loop_begin(e, &loop, zero, end, 1, NULL, 0);
        e->axis[axis->number] = loop.counter;
        gml_emit_list(e, body);
        gml_loop_end(e, &loop, NULL);
    }
}

/* ---- phases -------------------------------------------------------------------------------
 */

/* Units of a nest: the product of its outer loops and of its vector axis' blocks. */
static gml_dim units_of(gml_kernel *kernel, const gml_nest *nest)
{
    gml_dim units = 1;
    for (unsigned i = 0; i < nest->n_outer; i++)
        units = gml_dim_mul(kernel->dims, units, nest->outer[i]->extent);
    if (nest->vector && nest->block)
        units = gml_dim_mul(kernel->dims, units,
                            gml_dim_ceil_div(kernel->dims, nest->vector->extent, nest->block));
    return units;
}

static void emit_unit(gml_emit *e, const gml_nest *nest, LLVMValueRef unit)
{
    LLVMValueRef begin = gml_ll_int(e, 0);
    LLVMValueRef end = nest->vector ? gml_emit_dim(e, nest->vector->extent) : NULL;
    if (nest->vector && nest->block) {
        gml_dim blocks = gml_dim_ceil_div(e->kernel->dims, nest->vector->extent, nest->block);
        LLVMValueRef block = gml_emit_peel(e, &unit, blocks);
        begin = LLVMBuildMul(e->b, block, gml_ll_int(e, nest->block), "");
        LLVMTypeRef type = e->be->i64;
        LLVMValueRef args[2] = {end, LLVMBuildAdd(e->b, begin, gml_ll_int(e, nest->block), "")};
        end = gml_ll_intrinsic(e, "llvm.smin", &type, 1, args, 2);
    }
    for (unsigned i = nest->n_outer; i-- > 0;)
        e->axis[nest->outer[i]->number] =
            i == 0 ? unit : gml_emit_peel(e, &unit, nest->outer[i]->extent);
    if (nest->serial)
        serial_loop(e, nest, begin, end);
    else if (nest->vector)
        store_loop(e, nest->body, nest->vector, nest->lanes, begin, end);
    else
        gml_emit_list(e, nest->body);
}

static LLVMValueRef load_pointer(gml_emit *e, LLVMValueRef mems, unsigned number)
{
    LLVMValueRef at = gml_ll_int(e, number);
    LLVMValueRef address = LLVMBuildInBoundsGEP2(e->b, e->be->ptr, mems, &at, 1, "");
    return LLVMBuildLoad2(e->b, e->be->ptr, address, "");
}

/* The pointers of all memories, at the function's entry. */
static void bind_mems(plan *p)
{
    gml_emit *e = p->e;
    gml_kernel *kernel = e->kernel;
    LLVMValueRef mems = LLVMGetParam(e->function, 0);
    LLVMValueRef scratch = LLVMGetParam(e->function, 4);
    unsigned n_params = (unsigned)(kernel->inputs.count + kernel->outputs.count);
    for (unsigned i = 0; i < n_params; i++)
        e->mems[i] = load_pointer(e, mems, i);
    for (unsigned i = 0; i < kernel->locals.count; i++) {
        const gml_mem *mem = kernel->locals.items[i];
        const gml_home *h = &p->homes.of[i];
        LLVMValueRef *out = &e->mems[n_params + i];
        if (h->shared) {
            *out = load_pointer(e, mems, n_params + h->temporary);
        } else if (mem->rank > 0) {
            LLVMValueRef at = gml_emit_dim(e, h->offset);
            *out = LLVMBuildInBoundsGEP2(e->b, e->be->i8, scratch, &at, 1, "");
        } else {
            *out = LLVMBuildAlloca(
                e->b,
                LLVMIntTypeInContext(e->be->context, (unsigned)gml_dtype_size(mem->dtype) * 8),
                "");
        }
    }
}

static void begin_function(plan *p, const char *symbol, bool ahead)
{
    gml_emit *e = p->e;
    gml_backend *be = e->be;
    LLVMTypeRef params[5] = {be->ptr, be->ptr, be->i64, be->i64, be->ptr};
    LLVMTypeRef type = LLVMFunctionType(be->none, params, 5, 0);
    e->function = LLVMAddFunction(be->module, symbol, type);
    gml_backend_mark_function(be, e->function);
    if (ahead)
        gml_backend_mark_ahead(be, e->function);
    e->dims = LLVMGetParam(e->function, 1);
    LLVMPositionBuilderAtEnd(e->b,
                             LLVMAppendBasicBlockInContext(be->context, e->function, "entry"));
    e->n_scopes = 0;
    memset(e->axis, 0, sizeof e->axis);
    gml_scope_push(e);
    e->room = LLVMBuildArrayAlloca(e->b, be->f32, LLVMConstInt(be->i32, 32 * 16, 0), "");
    LLVMSetAlignment(e->room, 64);
    bind_mems(p);
}

/* A statement by itself: the loops around a short vector axis as those of a unit, which write
 * what they pack with whole vectors. */
static void emit_alone(gml_emit *e, const gml_stmt *stmt)
{
    gml_stmt alone = *stmt;
    alone.next = NULL;
    gml_nest nest = gml_schedule_nest(e->kernel, &alone);
    if (!nest.serial) {
        gml_emit_list(e, &alone);
        return;
    }
    gml_loop loops[GML_MAX_AXES];
    LLVMValueRef zero = gml_ll_int(e, 0);
    for (unsigned i = 0; i < nest.n_outer; i++) {
        gml_loop_begin(e, &loops[i], zero, gml_emit_dim(e, nest.outer[i]->extent), 1, NULL, 0);
        e->axis[nest.outer[i]->number] = loops[i].counter;
    }
    serial_loop(e, &nest, zero, gml_emit_dim(e, nest.vector->extent));
    for (unsigned i = nest.n_outer; i-- > 0;)
        gml_loop_end(e, &loops[i], NULL);
}

/* All steps of one unit. */
static void emit_steps(gml_emit *e, const work *w, LLVMValueRef unit)
{
    for (unsigned i = w->n_outer; i-- > 0;)
        e->axis[w->outer[i]->number] =
            i == 0 ? unit : gml_emit_peel(e, &unit, w->outer[i]->extent);
    for (size_t k = 0; k < w->steps.count; k++) {
        const step *one = &w->steps.items[k];
        if (!one->gemm) {
            emit_alone(e, one->stmt);
            continue;
        }
        gml_loop loop;
        gml_dim products = gml_gemm_units(e->kernel, one->gemm);
        gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_emit_dim(e, products), 1, NULL, 0);
        gml_gemm_emit(e, one->gemm, loop.counter);
        gml_loop_end(e, &loop, NULL);
    }
}

/* The only step, or all of them, for one unit; returns how many units there are. */
static gml_dim emit_some(gml_emit *e, const work *w, LLVMValueRef unit)
{
    const step *first = &w->steps.items[0];
    if (w->together) {
        gml_dim units = 1;
        for (unsigned i = 0; i < w->n_outer; i++)
            units = gml_dim_mul(e->kernel->dims, units, w->outer[i]->extent);
        emit_steps(e, w, unit);
        return units;
    }
    if (first->gemm) {
        gml_gemm_emit(e, first->gemm, unit);
        return gml_gemm_units(e->kernel, first->gemm);
    }
    /* statements after this one are other work */
    gml_stmt alone = *first->stmt;
    alone.next = NULL;
    gml_nest nest = gml_schedule_nest(e->kernel, &alone);
    emit_unit(e, &nest, unit);
    return units_of(e->kernel, &nest);
}

/* The function of one piece of work; returns its units. */
static gml_dim emit_work(plan *p, const work *w, const char *symbol)
{
    gml_emit *e = p->e;
    begin_function(p, symbol, w->ahead);
    gml_loop loop;
    gml_loop_begin(e, &loop, LLVMGetParam(e->function, 2), LLVMGetParam(e->function, 3), 1,
                   NULL, 0);
    gml_dim units = emit_some(e, w, loop.counter);
    gml_loop_end(e, &loop, NULL);
    LLVMBuildRetVoid(e->b);
    return units;
}

gml_status gml_emit_kernel(gml_backend *be, gml_kernel *kernel, const char *symbol,
                           uint64_t constants, gml_code *out_code, gml_diags *diags)
{
    gml_arena *arena = kernel->arena;
    gml_emit e = {.be = be, .kernel = kernel, .diags = diags, .lanes = 1};
    plan p = {.e = &e};
    unsigned n_inputs = (unsigned)kernel->inputs.count;
    find_work(&p, constants);
    settle_locals(&p);
    size_t n_mems = kernel->inputs.count + kernel->outputs.count + kernel->locals.count;
    e.mems = gml_new_array(arena, LLVMValueRef, n_mems + 1);
    e.b = LLVMCreateBuilderInContext(be->context);
    gml_code_phase *phases = gml_new_array(arena, gml_code_phase, p.works.count + 1);
    gml_code_pack *packs = gml_new_array(arena, gml_code_pack, p.works.count + 1);
    gml_code code = {.phases = phases, .packs = packs, .n_inputs = n_inputs};
    for (size_t i = 0; i < p.works.count; i++) {
        const work *w = &p.works.items[i];
        const char *name = gml_arena_printf(arena, "%s_%zu", symbol, i);
        gml_dim units = emit_work(&p, w, name);
        if (!w->ahead) {
            phases[code.n_phases++] = (gml_code_phase){.symbol = name, .extent = units};
            continue;
        }
        const gml_stmt *store = w->steps.items[0].stmt;
        while (store->kind == GML_STMT_FOR)
            store = store->as.loop.body;
        const gml_mem *mem = store->as.store.mem;
        packs[code.n_packs++] =
            (gml_code_pack){name, mem->number, gml_mem_bytes(kernel, mem), units};
    }
    LLVMDisposeBuilder(e.b);
    free(e.scopes);
    code.temporaries = p.homes.temporaries;
    code.n_temporaries = p.homes.n_temporaries;
    code.scratch = p.homes.scratch;
    code.unread = ~p.homes.read;
    *out_code = code;
    return e.status;
}
