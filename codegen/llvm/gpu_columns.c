/* codegen/llvm/gpu_columns.c - column sums on a GPU. */
#include "codegen/llvm/gpu_columns.h"

#include "codegen/llvm/device.h"
#include "ir/index.h"

/* Threads that keep a device busy, and rows that one sums at least. */
#define GML_COLUMN_THREADS 135168
#define GML_COLUMN_ROWS    16
/* Blocks that a device runs at once, of rows in shared memory, and bytes of sums of one. */
#define GML_COLUMN_BLOCKS  1056
#define GML_COLUMN_BYTES   24576

static LLVMValueRef parts_at(gml_emit *e, const gml_columns *columns, unsigned number,
                             LLVMValueRef part, LLVMValueRef column)
{
    LLVMValueRef at = gml_tile_add(e, gml_tile_times(e, part, columns->columns), column);
    return gml_emit_address(e, columns->sums[number].parts, at);
}

/* ---- flat ---------------------------------------------------------------------------------
 */

int64_t gml_gpu_columns_parts(const gml_gpu_nest *nest, const gml_columns *columns)
{
    int64_t vectors = columns->columns / nest->lanes;
    if (!nest->is_flat || columns->n_row_loops == 0 || columns->n_row_loops >= nest->n_loops ||
        columns->columns % nest->lanes != 0)
        return 0;
    int64_t parts = GML_COLUMN_THREADS / vectors;
    if (parts > columns->rows / GML_COLUMN_ROWS)
        parts = columns->rows / GML_COLUMN_ROWS;
    if (parts < 1)
        return 0;
    int64_t run = (columns->rows + parts - 1) / parts;
    return (columns->rows + run - 1) / run;
}

int64_t gml_gpu_columns_units(const gml_gpu_nest *nest, const gml_columns *columns)
{
    return columns->n_parts * (columns->columns / nest->lanes);
}

/* The loops from `first` to `end` count to `at`. */
static void set_loops(gml_emit *e, const gml_gpu_nest *nest, unsigned first, unsigned end,
                      LLVMValueRef at)
{
    for (unsigned i = end; i-- > first;)
        e->axis[nest->loops[i]->number] =
            i == first ? at : gml_emit_peel(e, &at, nest->loops[i]->extent);
}

/* A row's stores, and its part of the sums. */
static void emit_row(gml_emit *e, const gml_gpu_nest *nest, LLVMValueRef *sums)
{
    gml_scope_push(e);
    e->vector = nest->lanes > 1 ? nest->loops[nest->n_loops - 1] : NULL;
    e->lanes = nest->lanes;
    for (const gml_stmt *store = nest->body; store; store = store->next) {
        if (store->as.store.mem->role != GML_MEM_SUM) {
            gml_emit_store(e, store);
            continue;
        }
        LLVMValueRef *sum = &sums[store->as.store.mem->number];
        *sum = LLVMBuildFAdd(e->b, *sum, gml_emit_lanes(e, store->as.store.value), "");
    }
    e->vector = NULL;
    e->lanes = 1;
    gml_scope_pop(e);
}

void gml_gpu_columns_emit(gml_emit *e, const gml_gpu_nest *nest, const gml_columns *columns,
                          LLVMValueRef begin, LLVMValueRef step)
{
    LLVMValueRef sums[GML_MAX_COLUMN_SUMS];
    int64_t run = (columns->rows + columns->n_parts - 1) / columns->n_parts;
    int64_t vectors = columns->columns / nest->lanes;
    gml_loop units;
    gml_loop rows;
    bool were_few = e->few_units;
    e->few_units = gml_gpu_are_few(columns->rows) && gml_gpu_are_few(columns->columns);
    gml_loop_begin(e, &units, begin, gml_ll_int(e, gml_gpu_columns_units(nest, columns)), 1,
                   NULL, 0);
    units.step = step;
    LLVMValueRef part = units.counter;
    LLVMValueRef column = gml_tile_times(e, gml_emit_peel(e, &part, vectors), nest->lanes);
    LLVMValueRef first = gml_tile_times(e, part, run);
    LLVMValueRef end = gml_tile_add(e, first, gml_ll_int(e, run));
    LLVMValueRef all = gml_ll_int(e, columns->rows);
    end = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, end, all, ""), end, all, "");
    set_loops(e, nest, columns->n_row_loops, nest->n_loops, column);
    for (unsigned i = 0; i < columns->n_sums; i++)
        sums[i] = gml_ll_float(e, 0, nest->lanes);
    gml_loop_begin(e, &rows, first, end, 1, sums, columns->n_sums);
    for (unsigned i = 0; i < columns->n_sums; i++)
        sums[i] = rows.phis[i];
    set_loops(e, nest, 0, columns->n_row_loops, rows.counter);
    emit_row(e, nest, sums);
    gml_loop_end(e, &rows, sums);
    for (unsigned i = 0; i < columns->n_sums; i++)
        gml_emit_store_at(e, GML_F32, parts_at(e, columns, i, part, column), rows.phis[i],
                          nest->lanes, NULL);
    gml_loop_end(e, &units, NULL);
    e->few_units = were_few;
}

/* ---- blocks -------------------------------------------------------------------------------
 */

static bool is_sum(const gml_stmt *list)
{
    for (; list; list = list->next)
        if (list->kind == GML_STMT_FOR ? is_sum(list->as.loop.body)
                                       : list->as.store.mem->role == GML_MEM_SUM)
            return true;
    return false;
}

int64_t gml_gpu_columns_blocks(gml_kernel *kernel, const gml_gpu_nest *nest,
                               const gml_columns *columns)
{
    if (nest->is_flat || nest->n_loops != columns->n_row_loops ||
        gml_gpu_columns_shared(columns) > GML_COLUMN_BYTES)
        return 0;
    for (const gml_stmt *stmt = nest->body; stmt; stmt = stmt->next) {
        gml_stmt alone = *stmt;
        alone.next = NULL;
        if (is_sum(&alone) &&
            (stmt->kind != GML_STMT_FOR || !gml_gpu_find_nest(kernel, &alone).is_flat))
            return 0;
    }
    return columns->rows < GML_COLUMN_BLOCKS ? columns->rows : GML_COLUMN_BLOCKS;
}

unsigned gml_gpu_columns_shared(const gml_columns *columns)
{
    return columns->n_sums * (unsigned)columns->columns * 4;
}

static LLVMValueRef block_sum_at(gml_emit *e, LLVMValueRef element)
{
    return LLVMBuildInBoundsGEP2(e->b, e->be->f32, e->column_sums, &element, 1, "");
}

void gml_gpu_columns_begin(gml_emit *e, const gml_columns *columns)
{
    LLVMValueRef behind = gml_ll_int(e, GML_PARTIALS);
    gml_loop loop;
    e->columns = columns;
    e->column_sums = LLVMBuildInBoundsGEP2(e->b, e->be->i8, e->team.partials, &behind, 1, "");
    gml_loop_begin(e, &loop, e->team.lane, gml_ll_int(e, columns->n_sums * columns->columns),
                   e->team.threads, NULL, 0);
    LLVMBuildStore(e->b, gml_ll_float(e, 0, 1), block_sum_at(e, loop.counter));
    gml_loop_end(e, &loop, NULL);
    gml_dev_barrier(e);
}

void gml_gpu_columns_add(gml_emit *e, const gml_stmt *store)
{
    const gml_columns *columns = e->columns;
    LLVMValueRef at = gml_ll_int(e, 0);
    for (unsigned i = columns->n_row_loops; i < columns->n_loops; i++)
        at = gml_tile_add(e, gml_tile_times(e, at, columns->loops[i]->extent),
                          e->axis[columns->loops[i]->number]);
    at = gml_tile_add(e, at, gml_ll_int(e, store->as.store.mem->number * columns->columns));
    LLVMValueRef value = gml_emit_lanes(e, store->as.store.value);
    LLVMValueRef address = block_sum_at(e, at);
    LLVMValueRef sum = gml_emit_load_at(e, GML_F32, address, e->lanes, NULL);
    gml_emit_store_at(e, GML_F32, address, LLVMBuildFAdd(e->b, sum, value, ""), e->lanes, NULL);
}

void gml_gpu_columns_end(gml_emit *e, LLVMValueRef block)
{
    const gml_columns *columns = e->columns;
    gml_loop loop;
    gml_dev_barrier(e);
    gml_loop_begin(e, &loop, e->team.lane, gml_ll_int(e, columns->columns), e->team.threads,
                   NULL, 0);
    for (unsigned i = 0; i < columns->n_sums; i++) {
        LLVMValueRef at = gml_tile_add(e, loop.counter, gml_ll_int(e, i * columns->columns));
        LLVMValueRef sum = LLVMBuildLoad2(e->b, e->be->f32, block_sum_at(e, at), "");
        gml_emit_store_at(e, GML_F32, parts_at(e, columns, i, block, loop.counter), sum, 1,
                          NULL);
    }
    gml_loop_end(e, &loop, NULL);
    e->columns = NULL;
}

/* ---- tiles --------------------------------------------------------------------------------
 */

/* Sums of as many groups of threads as there are warps, at most, are added up at the end. */
#define GML_GROUPS (GML_GPU_GEMM_THREADS / 32)

bool gml_tile_sums_fit(gml_kernel *kernel, const gml_contraction *c, const gml_columns *columns)
{
    if (c->n_batch > 0 || c->n->extent != columns->columns || c->m->extent != columns->rows)
        return false;
    for (const gml_stmt *store = c->store; store; store = store->next) {
        const gml_mem *mem = store->as.store.mem;
        if (mem->role == GML_MEM_SUM &&
            gml_schedule_stride(kernel, mem, store->as.store.index, c->m) != columns->columns)
            return false;
    }
    return true;
}

unsigned gml_tile_sums_shared(const gml_gpu_gemm *g)
{
    return g->columns_of ? g->columns_of->n_sums * GML_GROUPS * g->columns * 4 : 0;
}

/* Variables in the function's entry: LLVM makes registers of them. */
static LLVMValueRef add_variable(gml_emit *e)
{
    LLVMBasicBlockRef here = LLVMGetInsertBlock(e->b);
    LLVMBasicBlockRef entry = LLVMGetEntryBasicBlock(e->function);
    LLVMValueRef first = LLVMGetFirstInstruction(entry);
    if (first)
        LLVMPositionBuilderBefore(e->b, first);
    else
        LLVMPositionBuilderAtEnd(e->b, entry);
    LLVMValueRef variable = LLVMBuildAlloca(e->b, e->be->f32, "");
    LLVMPositionBuilderAtEnd(e->b, here);
    return variable;
}

void gml_tile_sums_begin(gml_tile *t, unsigned lanes)
{
    gml_emit *e = t->e;
    t->sum_lanes = lanes;
    for (unsigned i = 0; t->g->columns_of && i < t->g->columns_of->n_sums; i++)
        for (unsigned lane = 0; lane < lanes; lane++) {
            LLVMValueRef *variable = &t->column_sums[i][lane];
            if (!*variable)
                *variable = add_variable(e);
            LLVMBuildStore(e->b, gml_ll_float(e, 0, 1), *variable);
        }
}

void gml_tile_sums_add(gml_tile *t, const gml_stmt *store, unsigned lane)
{
    gml_emit *e = t->e;
    LLVMValueRef *variables = t->column_sums[store->as.store.mem->number];
    LLVMValueRef value = gml_emit_lanes(e, store->as.store.value);
    for (unsigned i = 0; i < e->lanes; i++) {
        LLVMValueRef number = LLVMConstInt(e->be->i32, i, 0);
        LLVMValueRef one =
            e->lanes > 1 ? LLVMBuildExtractElement(e->b, value, number, "") : value;
        LLVMValueRef sum = LLVMBuildLoad2(e->b, e->be->f32, variables[lane + i], "");
        LLVMBuildStore(e->b, LLVMBuildFAdd(e->b, sum, one, ""), variables[lane + i]);
    }
}

static LLVMValueRef sum_at(gml_tile *t, unsigned number, LLVMValueRef group,
                           LLVMValueRef column)
{
    gml_emit *e = t->e;
    int64_t columns = t->g->columns;
    LLVMValueRef at = gml_tile_add(e, gml_tile_times(e, group, columns), column);
    at = gml_tile_add(e, at, gml_ll_int(e, (int64_t)number * GML_GROUPS * columns));
    return LLVMBuildInBoundsGEP2(e->b, e->be->f32, t->sums_shared, &at, 1, "");
}

void gml_tile_sums_end(gml_tile *t, LLVMValueRef column, unsigned same, LLVMValueRef group)
{
    gml_emit *e = t->e;
    LLVMValueRef sums[GML_MAX_COLUMN_SUMS][GML_MAX_SUM_LANES];
    if (!t->g->columns_of)
        return;
    unsigned n = t->g->columns_of->n_sums;
    for (unsigned i = 0; i < n; i++)
        for (unsigned lane = 0; lane < t->sum_lanes; lane++) {
            sums[i][lane] = LLVMBuildLoad2(e->b, e->be->f32, t->column_sums[i][lane], "");
            for (unsigned bit = 1; bit < 32; bit *= 2)
                if (same & bit)
                    sums[i][lane] = LLVMBuildFAdd(
                        e->b, sums[i][lane], gml_dev_shuffle_xor(e, sums[i][lane], bit), "");
        }
    LLVMValueRef others = LLVMBuildAnd(e->b, e->team.lane, gml_ll_int(e, same), "");
    LLVMBasicBlockRef after =
        gml_if_begin(e, LLVMBuildICmp(e->b, LLVMIntEQ, others, gml_ll_int(e, 0), ""));
    for (unsigned i = 0; i < n; i++)
        for (unsigned lane = 0; lane < t->sum_lanes; lane++)
            LLVMBuildStore(e->b, sums[i][lane],
                           sum_at(t, i, group, gml_tile_add(e, column, gml_ll_int(e, lane))));
    gml_if_end(e, after);
}

void gml_tile_sums_store(gml_tile *t, unsigned n_groups)
{
    gml_emit *e = t->e;
    const gml_columns *columns = t->g->columns_of;
    if (!columns)
        return;
    gml_dev_barrier(e);
    LLVMValueRef column = gml_tile_add(e, t->b.first, e->team.lane);
    LLVMValueRef is_mine = LLVMBuildAnd(
        e->b, LLVMBuildICmp(e->b, LLVMIntSLT, e->team.lane, gml_ll_int(e, t->g->columns), ""),
        LLVMBuildICmp(e->b, LLVMIntSLT, column, gml_ll_int(e, columns->columns), ""), "");
    LLVMBasicBlockRef after = gml_if_begin(e, is_mine);
    LLVMValueRef part = LLVMBuildUDiv(e->b, t->a.first, gml_ll_int(e, t->g->rows), "");
    for (unsigned i = 0; i < columns->n_sums; i++) {
        LLVMValueRef sum = gml_ll_float(e, 0, 1);
        for (unsigned group = 0; group < n_groups; group++) {
            LLVMValueRef at = sum_at(t, i, gml_ll_int(e, group), e->team.lane);
            sum = LLVMBuildFAdd(e->b, sum, LLVMBuildLoad2(e->b, e->be->f32, at, ""), "");
        }
        gml_emit_store_at(e, GML_F32, parts_at(e, columns, i, part, column), sum, 1, NULL);
    }
    gml_if_end(e, after);
}
