/* codegen/llvm/gpu.c - a kernel as functions of a GPU: one a phase.
 *
 * Blocks stride over the units of a phase. What a unit of a block needs for itself lies in
 * shared memory where that is enough, else in a temporary with a part for each block, of which
 * there are then no more than the device runs at once. */
#include "codegen/llvm/gpu.h"

#include "codegen/llvm/device.h"
#include "codegen/llvm/gpu_columns.h"
#include "codegen/llvm/gpu_cost.h"
#include "codegen/llvm/gpu_order.h"
#include "codegen/llvm/gpu_plan.h"
#include "codegen/llvm/kernel.h"

#include <stdlib.h>

/* Products at once on a processor: one waits for memory while the other multiplies. ptxas keeps
 * two of the tensor cores' in registers on 9.0, where it was measured; elsewhere it spills. */
#define GML_GEMM_BLOCKS 2
/* Units of a thread, where a kernel runs in parts: finding its part takes a block a while. */
#define GML_PART_UNITS  4

/* ---- phases -------------------------------------------------------------------------------
 */

static void emit_flat(gml_gpu_plan *p, const gml_gpu_nest *nest, const gml_columns *columns)
{
    gml_emit *e = p->e;
    LLVMValueRef threads = gml_ll_int(e, nest->threads);
    LLVMValueRef first = LLVMBuildAdd(e->b, LLVMBuildMul(e->b, p->block, threads, ""),
                                      gml_gpu_wide(e, gml_dev_thread(e)), "");
    LLVMValueRef all = LLVMBuildMul(e->b, p->n_blocks, threads, "");
    if (columns)
        gml_gpu_columns_emit(e, nest, columns, first, all);
    else
        gml_gpu_emit_flat(e, nest, first, all);
}

/* The block is one team, from here to the end of the function. */
static void form_team(gml_emit *e, unsigned threads)
{
    e->team = (gml_team){.threads = threads, .lane = gml_gpu_wide(e, gml_dev_thread(e))};
    e->team.partials = gml_dev_shared(e);
}

/* for (unit = block; unit < units; unit += blocks) */
static LLVMValueRef begin_units(const gml_gpu_plan *p, gml_loop *loop, gml_dim units)
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
static void emit_steps(gml_emit *e, const gml_gpu_work *w)
{
    gml_gpu_accesses before = gml_gpu_accesses_make(e);
    for (size_t k = 0; k < w->steps.count; k++) {
        const gml_gpu_step *one = &w->steps.items[k];
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

static unsigned threads_of(gml_kernel *kernel, const gml_gpu_work *w)
{
    unsigned threads = 32;
    for (size_t k = 0; k < w->steps.count; k++) {
        const gml_gpu_step *one = &w->steps.items[k];
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

static gml_cost cost_of(const gml_gpu_plan *p, const gml_gpu_work *w)
{
    gml_meter meter = {.kernel = p->e->kernel,
                       .homes = &p->homes,
                       .room = p->is_roomy ? p->room : GML_NO_ROOM,
                       .outer = w->outer,
                       .n_outer = w->n_outer};
    for (size_t k = 0; k < w->steps.count; k++) {
        const gml_gpu_step *one = &w->steps.items[k];
        const gml_columns *columns = one->gemm ? one->gemm->columns_of : w->columns;
        if (one->gemm)
            gml_meter_read_product(&meter, one->gemm);
        else
            gml_meter_read(&meter, one->stmt);
        if (columns)
            gml_meter_read_sums(&meter, columns);
    }
    return gml_meter_total(&meter);
}

/* Where a memory of the kernel is among those of its phases. */
static uint32_t number_of(const gml_gpu_plan *p, const gml_mem *mem)
{
    const gml_kernel *kernel = p->e->kernel;
    uint32_t n_inputs = (uint32_t)kernel->inputs.count;
    if (mem->role == GML_MEM_LOCAL)
        return n_inputs + (uint32_t)kernel->outputs.count + p->homes.of[mem->number].temporary;
    return mem->role == GML_MEM_OUTPUT ? n_inputs + mem->number : mem->number;
}

/* A product by wgmma has its operands by maps, and shared memory as it needs. */
static void describe_boxes(gml_gpu_plan *p, const gml_gpu_gemm *gemm, gml_code_phase *phase)
{
    gml_map_layout *maps = gml_new_array(p->e->kernel->arena, gml_map_layout, 2);
    for (unsigned i = 0; i < 2; i++) {
        maps[i] = gemm->boxes[i].map;
        maps[i].mem = number_of(p, gemm->boxes[i].mem);
    }
    phase->maps = maps;
    phase->launch.n_maps = p->n_maps = 2;
    phase->launch.shared = gml_gpu_wgmma_shared(gemm);
}

static void emit_tiles(gml_gpu_plan *p, const gml_gpu_gemm *gemm, gml_dim units)
{
    gml_emit *e = p->e;
    gml_loop loop;
    gml_gpu_pipe pipe;
    if (gemm->is_wgmma) {
        for (unsigned i = 0; i < 2; i++)
            pipe.maps[i] = gml_gpu_map(p, i);
        gml_gpu_wgmma_begin(e, gemm, &pipe);
    }
    LLVMValueRef unit = begin_units(p, &loop, units);
    if (gemm->is_wgmma)
        gml_gpu_wgmma_emit(e, gemm, &pipe, unit);
    else
        gml_gpu_gemm_emit(e, gemm, unit);
    gml_loop_end(e, &loop, NULL);
}

static void emit_work(gml_gpu_plan *p, const gml_gpu_work *w, const char *symbol,
                      gml_code_phase *out_phase)
{
    gml_emit *e = p->e;
    gml_kernel *kernel = e->kernel;
    const gml_gpu_step *first = &w->steps.items[0];
    gml_dim own = gml_dim_is_const(p->homes.scratch) && !p->is_roomy ? p->homes.scratch : 0;
    gml_code_phase phase = {
        .symbol = symbol, .launch = {.per_block = 1}, .cost = cost_of(p, w)};
    phase.launch.shared = p->shared + (uint32_t)own;
    phase.launch.max_blocks =
        p->is_roomy && p->homes.scratch != 0 ? (uint32_t)p->room_blocks : 0;
    gml_loop units;
    p->n_maps = 0;
    if (w->outer) {
        phase.launch.threads = threads_of(kernel, w);
        phase.extent = product_of(kernel, w->outer, w->n_outer);
        gml_gpu_begin_function(p, symbol, phase.launch.threads, 0);
        form_team(e, phase.launch.threads);
        set_outer(e, w->outer, w->n_outer, begin_units(p, &units, phase.extent));
        emit_steps(e, w);
        gml_loop_end(e, &units, NULL);
    } else if (first->gemm) {
        phase.launch.threads = GML_GPU_GEMM_THREADS;
        phase.extent = gml_gpu_gemm_units(kernel, first->gemm);
        bool is_large = first->gemm->is_wgmma && first->gemm->columns > 128;
        bool has_two = first->gemm->is_mma && !is_large && e->be->architecture >= 90;
        if (first->gemm->is_wgmma)
            describe_boxes(p, first->gemm, &phase);
        gml_gpu_begin_function(p, symbol, phase.launch.threads, has_two ? GML_GEMM_BLOCKS : 0);
        form_team(e, phase.launch.threads);
        emit_tiles(p, first->gemm, phase.extent);
    } else {
        gml_gpu_nest nest = gml_gpu_find_nest(kernel, first->stmt);
        phase.launch.threads = nest.threads;
        phase.extent = w->columns && !w->is_block ? gml_gpu_columns_units(&nest, w->columns)
                                                  : gml_gpu_units(kernel, &nest);
        if (w->is_block)
            phase.launch.max_blocks = (uint32_t)w->columns->n_parts;
        gml_gpu_begin_function(p, symbol, nest.threads, 0);
        if (nest.is_flat) {
            phase.launch.per_block =
                (int64_t)nest.threads * (kernel->in_parts ? GML_PART_UNITS : 1);
            phase.launch.shared = 0;
            emit_flat(p, &nest, w->columns);
        } else {
            form_team(e, nest.threads);
            if (w->columns)
                gml_gpu_columns_begin(e, w->columns);
            set_outer(e, nest.loops, nest.n_loops, begin_units(p, &units, phase.extent));
            gml_gpu_emit_list(e, nest.body);
            gml_loop_end(e, &units, NULL);
            if (w->columns)
                gml_gpu_columns_end(e, p->block);
        }
    }
    e->team = (gml_team){0};
    e->few_units = false;
    LLVMBuildRetVoid(e->b);
    if (e->be->gpu == GML_GPU_EMU)
        gml_gpu_write_lane(p, symbol);
    *out_phase = phase;
}

gml_status gml_gpu_emit_kernel(gml_backend *be, gml_kernel *kernel, const char *symbol,
                               gml_code *out_code, gml_diags *diags)
{
    gml_arena *arena = kernel->arena;
    gml_emit e = {.be = be, .kernel = kernel, .diags = diags, .lanes = 1};
    gml_gpu_plan p = {.e = &e};
    gml_gpu_plan_make(&p);
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
