/* codegen/llvm/gpu.c - a kernel as functions of a GPU: one a phase.
 *
 * Blocks stride over the units of a phase. What a unit of a block needs for itself lies in
 * shared memory where that is enough, else in a temporary with a part for each block, of which
 * there are then no more than the device runs at once. */
#include "codegen/llvm/gpu.h"

#include "codegen/blocks.h"
#include "codegen/llvm/device.h"
#include "codegen/llvm/gpu_cost.h"
#include "codegen/llvm/gpu_gemm.h"
#include "codegen/llvm/gpu_order.h"
#include "codegen/llvm/homes.h"
#include "codegen/llvm/kernel.h"
#include "codegen/split.h"

#include <stdlib.h>
#include <string.h>

/* Shared memory that a block gets on every architecture from sm_80 on, if it asks. */
#define GML_SHARED_LIMIT   98304
/* Of it, what products and partial sums may take, and rows or columns at a time, where a kernel
 * in stages is cut. */
#define GML_STAGE_SHARED   33024
#define GML_BLOCK_ROWS     64
/* Blocks that have room of their own in device memory. */
#define GML_ROOMY_BLOCKS   264
#define GML_PARTIALS       256
/* Products at once on a processor: one waits for memory while the other multiplies. ptxas keeps
 * two of the tensor cores' in registers on 9.0, where it was measured; elsewhere it spills. */
#define GML_GEMM_BLOCKS    2
/* Fewer leave a device idle; so many are wanted then. */
#define GML_BUSY_BLOCKS    132
#define GML_WANTED_BLOCKS  528
/* Steps of a part at least: of a product, of a thread's column, of a team's row. */
#define GML_SPLIT_PRODUCTS 512
#define GML_SPLIT_COLUMN   32
#define GML_SPLIT_ROW      4096
/* Units of a thread, where a kernel runs in parts: finding its part takes a block a while. */
#define GML_PART_UNITS     4

/* One statement of a unit, or a product. */
typedef struct step {
    const gml_stmt *stmt;
    const gml_gpu_gemm *gemm;
} step;

typedef struct work {
    gml_vec(step) steps;
    const gml_axis *const
        *outer; /* of units that do all steps; NULL: one step, units its own */
    unsigned n_outer;
} work;

typedef struct plan {
    gml_emit *e;
    gml_homes homes;
    gml_vec(work) works;
    unsigned shared; /* bytes for products and partial sums, before the unit's own arrays */
    bool is_roomy;   /* the unit's own arrays are in device memory */
    unsigned room;   /* number of that temporary */
    LLVMValueRef block, n_blocks; /* i64: of this function's, or of the part's */
} plan;

/* ---- what there is to do ------------------------------------------------------------------
 */

/* A statement of its own; NULL: none. */
static void add_single(plan *p, const gml_stmt *stmt)
{
    work w = {0};
    step one = {.stmt = stmt};
    if (!stmt)
        return;
    gml_push(p->e->kernel->arena, &w.steps, one);
    gml_push(p->e->kernel->arena, &p->works, w);
}

/* `is_alone`: it is the only step of its work, and others may go before. */
static void add_step(plan *p, work *w, const gml_stmt *stmt, bool is_alone)
{
    gml_kernel *kernel = p->e->kernel;
    gml_stmt *alone = gml_new(kernel->arena, gml_stmt);
    gml_contraction c;
    *alone = *stmt;
    alone->next = NULL;
    step one = {.stmt = alone};
    if (gml_contract_find(kernel, alone, 0, &c)) {
        gml_gpu_gemm *gemm = gml_new(kernel->arena, gml_gpu_gemm);
        if (gml_gpu_gemm_prepare(p->e->be, kernel, &c, gemm)) {
            one.gemm = gemm;
            one.stmt = c.store;
            if (is_alone && gml_gpu_gemm_stream(kernel, gemm)) {
                add_single(p, gemm->pack_a);
                add_single(p, gemm->pack_b);
            }
        }
    }
    gml_push(kernel->arena, &w->steps, one);
}

/* How many blocks a top-level statement keeps busy, and how long its reductions are. */
static bool is_idle(plan *p, const gml_stmt *stmt, int64_t *out_parts, int64_t *out_least)
{
    gml_kernel *kernel = p->e->kernel;
    gml_contraction c;
    gml_gpu_gemm gemm;
    gml_dim blocks = 0;
    if (gml_contract_find(kernel, stmt, 0, &c) &&
        gml_gpu_gemm_prepare(p->e->be, kernel, &c, &gemm)) {
        blocks = gml_gpu_gemm_units(kernel, &gemm);
        *out_least = GML_SPLIT_PRODUCTS;
    } else {
        gml_gpu_nest nest = gml_gpu_find_nest(kernel, stmt);
        blocks = gml_gpu_units(kernel, &nest);
        if (nest.is_flat)
            blocks = gml_dim_ceil_div(kernel->dims, blocks, nest.threads);
        *out_least = nest.is_flat ? GML_SPLIT_COLUMN : GML_SPLIT_ROW;
    }
    if (!gml_dim_is_const(blocks) || blocks <= 0 || blocks >= GML_BUSY_BLOCKS)
        return false;
    *out_parts = GML_WANTED_BLOCKS / blocks;
    return *out_parts > 1;
}

/* A statement with long reductions and few elements is cut in two. */
static void add_parted(plan *p, const gml_stmt *stmt)
{
    gml_kernel *kernel = p->e->kernel;
    gml_stmt alone = *stmt;
    gml_stmt *parts[2] = {NULL, NULL};
    int64_t n = 0;
    int64_t least = 1;
    alone.next = NULL;
    if (is_idle(p, &alone, &n, &least) &&
        gml_split_reduction(kernel, &alone, n, least, &parts[0], &parts[1])) {
        for (unsigned i = 0; i < 2; i++) {
            work w = {0};
            add_step(p, &w, parts[i], true);
            gml_push(kernel->arena, &p->works, w);
        }
        return;
    }
    work w = {0};
    add_step(p, &w, &alone, true);
    gml_push(kernel->arena, &p->works, w);
}

/* All stages for each value of the axes around. */
static void add_stages(plan *p, const gml_axis *const *outer, unsigned n_outer,
                       const gml_stmt *stages)
{
    work unit = {.outer = outer, .n_outer = n_outer};
    for (; stages; stages = stages->next)
        add_step(p, &unit, stages, false);
    gml_push(p->e->kernel->arena, &p->works, unit);
}

static void find_works(plan *p)
{
    gml_kernel *kernel = p->e->kernel;
    gml_block_unit units[GML_MAX_BLOCK_UNITS];
    const gml_stmt *list = kernel->body;
    for (; kernel->n_shared == 0 && list; list = list->next)
        add_parted(p, list);
    if (kernel->n_shared == 0)
        return;
    unsigned n =
        gml_blocks_cut(kernel, GML_BLOCK_ROWS, GML_SHARED_LIMIT - GML_STAGE_SHARED, units);
    for (unsigned i = 0; i < n; i++)
        add_stages(p, units[i].outer, units[i].n_outer, units[i].stages);
    if (n > 0)
        return;
    const gml_axis **outer = gml_new_array(kernel->arena, const gml_axis *, kernel->n_shared);
    for (unsigned i = 0; i < kernel->n_shared; i++, list = list->as.loop.body)
        outer[i] = list->as.loop.axis;
    add_stages(p, outer, kernel->n_shared, list);
}

static void note_step(plan *p, const step *one, unsigned phase)
{
    gml_homes_note(&p->homes, one->stmt, phase, false);
    if (!one->gemm)
        return;
    const gml_gpu_gemm *g = one->gemm;
    gml_homes_note_load(&p->homes, g->a_load ? g->a_load : g->c.a, phase);
    gml_homes_note_load(&p->homes, g->b_load ? g->b_load : g->c.b, phase);
    if (g->pack_a && g->a_load)
        p->homes.of[g->a_load->as.load.mem->number].is_operand = true;
    if (g->pack_b && g->b_load)
        p->homes.of[g->b_load->as.load.mem->number].is_operand = true;
}

/* Where the locals are, and how much a block needs. */
static void settle(plan *p)
{
    gml_emit *e = p->e;
    gml_kernel *kernel = e->kernel;
    gml_homes_init(&p->homes, kernel);
    for (size_t i = 0; i < p->works.count; i++)
        for (size_t k = 0; k < p->works.items[i].steps.count; k++)
            note_step(p, &p->works.items[i].steps.items[k], (unsigned)i + 1);
    gml_homes_settle(&p->homes);
    p->shared = GML_PARTIALS;
    for (size_t i = 0; i < p->works.count; i++)
        for (size_t k = 0; k < p->works.items[i].steps.count; k++) {
            const gml_gpu_gemm *gemm = p->works.items[i].steps.items[k].gemm;
            if (gemm && gml_gpu_gemm_shared(gemm) + GML_PARTIALS > p->shared)
                p->shared = gml_gpu_gemm_shared(gemm) + GML_PARTIALS;
        }
    gml_dim own = p->homes.scratch;
    p->is_roomy = !gml_dim_is_const(own) || own + p->shared > GML_SHARED_LIMIT;
    if (p->is_roomy) {
        p->room = p->homes.n_temporaries++;
        p->homes.temporaries[p->room] = gml_dim_mul(kernel->dims, own, GML_ROOMY_BLOCKS);
    }
    e->apart = gml_new_array(kernel->arena, bool, kernel->locals.count + 1);
    e->meets = gml_new_array(kernel->arena, bool, kernel->locals.count + 1);
    for (size_t i = 0; i < kernel->locals.count; i++) {
        e->apart[i] = p->homes.of[i].shared || kernel->locals.items[i]->rank > 0;
        e->meets[i] = e->apart[i] && p->homes.of[i].inside;
    }
}

/* ---- functions ----------------------------------------------------------------------------
 */

/* The unit's own arrays: in shared memory behind the rest, or this block's part of the room. */
static LLVMValueRef scratch_of(plan *p)
{
    gml_emit *e = p->e;
    LLVMValueRef at = gml_ll_int(e, p->shared);
    LLVMValueRef base = gml_dev_shared(e);
    if (p->is_roomy) {
        unsigned n_params = (unsigned)(e->kernel->inputs.count + e->kernel->outputs.count);
        LLVMValueRef block = LLVMBuildZExt(e->b, gml_dev_block(e), e->be->i64, "");
        at = LLVMBuildMul(e->b, block, gml_emit_dim(e, p->homes.scratch), "");
        base = LLVMGetParam(e->function, n_params + p->room);
    }
    return LLVMBuildInBoundsGEP2(e->b, e->be->i8, base, &at, 1, "");
}

static void bind_mems(plan *p, bool has_scratch)
{
    gml_emit *e = p->e;
    gml_kernel *kernel = e->kernel;
    unsigned n_params = (unsigned)(kernel->inputs.count + kernel->outputs.count);
    LLVMValueRef scratch = has_scratch ? scratch_of(p) : NULL;
    for (unsigned i = 0; i < n_params; i++) {
        const gml_mem *mem = i < kernel->inputs.count
                                 ? kernel->inputs.items[i]
                                 : kernel->outputs.items[i - kernel->inputs.count];
        e->mems[i] = LLVMGetParam(e->function, i);
        if (mem->name) /* in the emulator's reports */
            LLVMSetValueName2(e->mems[i], mem->name, strlen(mem->name));
    }
    for (unsigned i = 0; i < kernel->locals.count; i++) {
        const gml_mem *mem = kernel->locals.items[i];
        const gml_home *h = &p->homes.of[i];
        unsigned bits = (unsigned)gml_dtype_size(mem->dtype) * 8;
        LLVMValueRef *out = &e->mems[n_params + i];
        if (h->shared) {
            *out = LLVMGetParam(e->function, n_params + h->temporary);
        } else if (mem->rank > 0) {
            LLVMValueRef at = gml_emit_dim(e, h->offset);
            *out = scratch ? LLVMBuildInBoundsGEP2(e->b, e->be->i8, scratch, &at, 1, "") : NULL;
        } else {
            *out = LLVMBuildAlloca(e->b, LLVMIntTypeInContext(e->be->context, bits), "");
        }
    }
}

static LLVMValueRef wide(gml_emit *e, LLVMValueRef i32)
{
    return LLVMBuildZExt(e->b, i32, e->be->i64, "");
}

static LLVMTypeRef function_type(plan *p)
{
    gml_emit *e = p->e;
    gml_backend *be = e->be;
    unsigned n =
        (unsigned)(e->kernel->inputs.count + e->kernel->outputs.count) + p->homes.n_temporaries;
    if (e->kernel->in_parts)
        n = 1;
    LLVMTypeRef *params = gml_new_array(e->kernel->arena, LLVMTypeRef, n + 2);
    for (unsigned i = 0; i <= n; i++)
        params[i] = be->ptr;
    params[n + 1] = be->i64;
    return LLVMFunctionType(be->none, params, n + 2, 0);
}

/* Number `word` of a gml_record. */
static LLVMValueRef load_word(gml_emit *e, LLVMValueRef record, unsigned word, LLVMTypeRef type)
{
    LLVMValueRef at = gml_ll_int(e, word);
    LLVMValueRef address = LLVMBuildInBoundsGEP2(e->b, e->be->i64, record, &at, 1, "");
    return LLVMBuildLoad2(e->b, type, address, "");
}

/* A pointer that itself lies in memory. That it leads into the device's own memory NVPTX would
 * not know: then accesses were generic. */
static LLVMValueRef load_pointer(gml_emit *e, LLVMValueRef record, unsigned word)
{
    if (e->be->gpu != GML_GPU_CUDA)
        return load_word(e, record, word, e->be->ptr);
    LLVMValueRef global =
        load_word(e, record, word, LLVMPointerTypeInContext(e->be->context, 1));
    return LLVMBuildAddrSpaceCast(e->b, global, e->be->ptr, "");
}

/* What is the function's own elsewhere: of the part that this block belongs to (gml_record). */
static void bind_part(plan *p)
{
    gml_emit *e = p->e;
    gml_backend *be = e->be;
    unsigned n = (unsigned)(e->kernel->inputs.count + e->kernel->outputs.count);
    LLVMValueRef block = wide(e, gml_dev_block(e));
    LLVMValueRef at =
        LLVMBuildInBoundsGEP2(e->b, be->i32, LLVMGetParam(e->function, 1), &block, 1, "");
    LLVMValueRef part = wide(e, LLVMBuildLoad2(e->b, be->i32, at, ""));
    LLVMValueRef offset = LLVMBuildMul(
        e->b, part, gml_ll_int(e, (int64_t)(sizeof(gml_record) + n * sizeof(int64_t))), "");
    LLVMValueRef record =
        LLVMBuildInBoundsGEP2(e->b, be->i8, LLVMGetParam(e->function, 0), &offset, 1, "");
    p->block = LLVMBuildSub(e->b, block, load_word(e, record, 0, be->i64), "");
    p->n_blocks = load_word(e, record, 1, be->i64);
    e->dims = load_pointer(e, record, 2);
    for (unsigned i = 0; i < n; i++) {
        const gml_mem *mem = i < e->kernel->inputs.count
                                 ? e->kernel->inputs.items[i]
                                 : e->kernel->outputs.items[i - e->kernel->inputs.count];
        e->mems[i] = load_pointer(e, record, 3 + i);
        if (mem->name) /* in the emulator's reports */
            LLVMSetValueName2(e->mems[i], mem->name, strlen(mem->name));
    }
}

static void begin_function(plan *p, const char *symbol, unsigned threads, unsigned blocks)
{
    gml_emit *e = p->e;
    gml_backend *be = e->be;
    const char *name = be->gpu == GML_GPU_EMU
                           ? gml_arena_printf(e->kernel->arena, "%s.kernel", symbol)
                           : symbol;
    e->function = LLVMAddFunction(be->module, name, function_type(p));
    gml_backend_mark_gpu_kernel(be, e->function, threads, blocks);
    LLVMPositionBuilderAtEnd(e->b,
                             LLVMAppendBasicBlockInContext(be->context, e->function, "entry"));
    e->n_scopes = 0;
    memset(e->axis, 0, sizeof e->axis);
    gml_scope_push(e);
    if (e->kernel->in_parts) {
        bind_part(p);
        return;
    }
    e->dims = LLVMGetParam(e->function, LLVMCountParams(e->function) - 2);
    p->block = wide(e, gml_dev_block(e));
    p->n_blocks = wide(e, gml_dev_blocks(e));
    bind_mems(p, p->homes.scratch != 0);
}

/* The emulator's form of a kernel: its parameters out of a list of pointers to them. */
static void write_lane(gml_emit *e, const char *symbol)
{
    gml_backend *be = e->be;
    LLVMValueRef kernel = e->function;
    unsigned n = LLVMCountParams(kernel);
    LLVMTypeRef list = be->ptr;
    LLVMValueRef *args = gml_new_array(e->kernel->arena, LLVMValueRef, n + 1);
    LLVMValueRef lane =
        LLVMAddFunction(be->module, symbol, LLVMFunctionType(be->none, &list, 1, 0));
    LLVMPositionBuilderAtEnd(e->b, LLVMAppendBasicBlockInContext(be->context, lane, "entry"));
    for (unsigned i = 0; i < n; i++) {
        LLVMValueRef at = gml_ll_int(e, i);
        LLVMValueRef place =
            LLVMBuildInBoundsGEP2(e->b, be->ptr, LLVMGetParam(lane, 0), &at, 1, "");
        args[i] = LLVMBuildLoad2(e->b, LLVMTypeOf(LLVMGetParam(kernel, i)),
                                 LLVMBuildLoad2(e->b, be->ptr, place, ""), "");
    }
    LLVMBuildCall2(e->b, LLVMGlobalGetValueType(kernel), kernel, args, n, "");
    LLVMBuildRetVoid(e->b);
}

/* ---- phases -------------------------------------------------------------------------------
 */

static void emit_flat(plan *p, const gml_gpu_nest *nest)
{
    gml_emit *e = p->e;
    LLVMValueRef threads = gml_ll_int(e, nest->threads);
    LLVMValueRef first = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, p->block, threads, ""),
                                      wide(e, gml_dev_thread(e)), "");
    LLVMValueRef all = LLVMBuildMul(e->b, p->n_blocks, threads, "");
    gml_gpu_emit_flat(e, nest, first, all);
}

/* The block is one team, from here to the end of the function. */
static void form_team(gml_emit *e, unsigned threads)
{
    e->team = (gml_team){.threads = threads, .lane = wide(e, gml_dev_thread(e))};
    e->team.partials = gml_dev_shared(e);
}

/* for (unit = block; unit < units; unit += blocks) */
static LLVMValueRef begin_units(const plan *p, gml_loop *loop, gml_dim units)
{
    gml_emit *e = p->e;
    e->few_units = gml_gpu_are_few(units);
    gml_loop_begin(e, loop, p->block, gml_emit_dim(e, units), 1, NULL, 0);
    loop->step = p->n_blocks;
    return loop->counter;
}

static void set_outer(gml_emit *e, const gml_axis *const *axes, unsigned n, LLVMValueRef unit)
{
    for (unsigned i = n; i-- > 0;)
        e->axis[axes[i]->number] = i == 0 ? unit : gml_emit_peel(e, &unit, axes[i]->extent);
}

/* What a product reads before its own barriers, and what it does with its sums after them: by
 * then all threads have read the operands. */
static void note_product(gml_emit *e, const gml_gpu_gemm *gemm, gml_gpu_accesses *operands,
                         gml_gpu_accesses *results)
{
    const gml_expr *zero = gml_expr_float(e->kernel, gemm->c.sum->dtype, 0);
    gml_gpu_accesses_add_loads(e, operands, gemm->c.a);
    gml_gpu_accesses_add_loads(e, operands, gemm->c.b);
    for (const gml_stmt *store = gemm->c.store; store; store = store->next) {
        gml_stmt after = *store;
        after.as.store.value =
            gml_expr_replace(e->kernel, store->as.store.value, gemm->c.sum, zero);
        gml_gpu_accesses_add(e, results, &after);
    }
}

static void emit_product(gml_emit *e, const gml_gpu_gemm *gemm)
{
    gml_loop tiles;
    gml_loop_begin(e, &tiles, gml_ll_int(e, 0),
                   gml_emit_dim(e, gml_gpu_gemm_units(e->kernel, gemm)), 1, NULL, 0);
    gml_gpu_gemm_emit(e, gemm, tiles.counter);
    gml_loop_end(e, &tiles, NULL);
}

/* All steps of a unit, with barriers where one step meets what others did since the last. */
static void emit_steps(gml_emit *e, const work *w)
{
    gml_gpu_accesses before = gml_gpu_accesses_make(e);
    for (size_t k = 0; k < w->steps.count; k++) {
        const step *one = &w->steps.items[k];
        gml_gpu_accesses now = gml_gpu_accesses_make(e);
        gml_gpu_accesses results = gml_gpu_accesses_make(e);
        if (one->gemm)
            note_product(e, one->gemm, &now, &results);
        else
            gml_gpu_accesses_add(e, &now, one->stmt);
        if (gml_gpu_accesses_meet(e, &before, &now)) {
            gml_dev_barrier(e);
            gml_gpu_accesses_clear(e, &before);
        }
        if (one->gemm) {
            emit_product(e, one->gemm);
            before = results;
        } else {
            gml_gpu_emit_stmt(e, one->stmt);
            gml_gpu_accesses_add(e, &before, one->stmt);
        }
    }
    /* the next unit begins over again, if not with a product's barriers */
    if (!w->steps.items[0].gemm && gml_gpu_accesses_any(e, &before))
        gml_dev_barrier(e);
}

static unsigned threads_of(gml_kernel *kernel, const work *w)
{
    unsigned threads = 32;
    for (size_t k = 0; k < w->steps.count; k++) {
        const step *one = &w->steps.items[k];
        gml_gpu_nest nest = gml_gpu_find_nest(kernel, one->stmt);
        unsigned wanted = one->gemm ? GML_GPU_GEMM_THREADS : nest.threads;
        threads = wanted > threads ? wanted : threads;
    }
    /* products are written for just so many */
    for (size_t k = 0; k < w->steps.count; k++)
        if (w->steps.items[k].gemm)
            return GML_GPU_GEMM_THREADS;
    return threads;
}

static gml_dim product_of(gml_kernel *kernel, const gml_axis *const *axes, unsigned n)
{
    gml_dim units = 1;
    for (unsigned i = 0; i < n; i++)
        units = gml_dim_mul(kernel->dims, units, axes[i]->extent);
    return units;
}

static gml_cost cost_of(const plan *p, const work *w)
{
    gml_meter meter = {.kernel = p->e->kernel,
                       .homes = &p->homes,
                       .room = p->is_roomy ? p->room : GML_NO_ROOM,
                       .outer = w->outer,
                       .n_outer = w->n_outer};
    for (size_t k = 0; k < w->steps.count; k++) {
        const step *one = &w->steps.items[k];
        if (one->gemm)
            gml_meter_read_product(&meter, one->gemm);
        else
            gml_meter_read(&meter, one->stmt);
    }
    return gml_meter_total(&meter);
}

static void emit_work(plan *p, const work *w, const char *symbol, gml_code_phase *out_phase)
{
    gml_emit *e = p->e;
    gml_kernel *kernel = e->kernel;
    const step *first = &w->steps.items[0];
    gml_dim own = gml_dim_is_const(p->homes.scratch) && !p->is_roomy ? p->homes.scratch : 0;
    gml_code_phase phase = {
        .symbol = symbol, .launch = {.per_block = 1}, .cost = cost_of(p, w)};
    phase.launch.shared = p->shared + (uint32_t)own;
    phase.launch.max_blocks = p->is_roomy && p->homes.scratch != 0 ? GML_ROOMY_BLOCKS : 0;
    gml_loop units;
    if (w->outer) {
        phase.launch.threads = threads_of(kernel, w);
        phase.extent = product_of(kernel, w->outer, w->n_outer);
        begin_function(p, symbol, phase.launch.threads, 0);
        form_team(e, phase.launch.threads);
        set_outer(e, w->outer, w->n_outer, begin_units(p, &units, phase.extent));
        emit_steps(e, w);
        gml_loop_end(e, &units, NULL);
    } else if (first->gemm) {
        phase.launch.threads = GML_GPU_GEMM_THREADS;
        phase.extent = gml_gpu_gemm_units(kernel, first->gemm);
        bool has_two = first->gemm->is_mma && e->be->architecture >= 90;
        begin_function(p, symbol, phase.launch.threads, has_two ? GML_GEMM_BLOCKS : 0);
        form_team(e, phase.launch.threads);
        gml_gpu_gemm_emit(e, first->gemm, begin_units(p, &units, phase.extent));
        gml_loop_end(e, &units, NULL);
    } else {
        gml_gpu_nest nest = gml_gpu_find_nest(kernel, first->stmt);
        phase.launch.threads = nest.threads;
        phase.extent = gml_gpu_units(kernel, &nest);
        begin_function(p, symbol, nest.threads, 0);
        if (nest.is_flat) {
            phase.launch.per_block =
                (int64_t)nest.threads * (kernel->in_parts ? GML_PART_UNITS : 1);
            phase.launch.shared = 0;
            emit_flat(p, &nest);
        } else {
            form_team(e, nest.threads);
            set_outer(e, nest.loops, nest.n_loops, begin_units(p, &units, phase.extent));
            gml_gpu_emit_list(e, nest.body);
            gml_loop_end(e, &units, NULL);
        }
    }
    e->team = (gml_team){0};
    e->few_units = false;
    LLVMBuildRetVoid(e->b);
    if (e->be->gpu == GML_GPU_EMU)
        write_lane(e, symbol);
    *out_phase = phase;
}

gml_status gml_gpu_emit_kernel(gml_backend *be, gml_kernel *kernel, const char *symbol,
                               gml_code *out_code, gml_diags *diags)
{
    gml_arena *arena = kernel->arena;
    gml_emit e = {.be = be, .kernel = kernel, .diags = diags, .lanes = 1};
    plan p = {.e = &e};
    find_works(&p);
    settle(&p);
    size_t n_mems = kernel->inputs.count + kernel->outputs.count + kernel->locals.count;
    e.mems = gml_new_array(arena, LLVMValueRef, n_mems + 1);
    e.b = LLVMCreateBuilderInContext(be->context);
    gml_code_phase *phases = gml_new_array(arena, gml_code_phase, p.works.count + 1);
    for (size_t i = 0; i < p.works.count; i++)
        emit_work(&p, &p.works.items[i], gml_arena_printf(arena, "%s_%zu", symbol, i),
                  &phases[i]);
    LLVMDisposeBuilder(e.b);
    free(e.scopes);
    *out_code = (gml_code){.phases = phases,
                           .n_phases = (unsigned)p.works.count,
                           .n_inputs = (unsigned)kernel->inputs.count,
                           .unread = ~p.homes.read,
                           .temporaries = p.homes.temporaries,
                           .n_temporaries = p.homes.n_temporaries};
    return e.status;
}
