/* codegen/llvm/gemm.c - matrix products as packed micro-kernels: the code of a unit. */
#include "codegen/llvm/gemm.h"

#include "ir/index.h"

#include <string.h>

/* A memory of this size is far away: in L3 or beyond. */
#define GML_FAR_BYTES      (8 * 1024 * 1024)
/* Memories of an epilogue that are asked for ahead. */
#define GML_MAX_AHEAD      4
/* A run of taps is written out when it is this short, else by so many at a time. */
#define GML_STRAIGHT_TAPS  7
#define GML_TAPS_UNROLL    4
/* Operators of an epilogue that is written out for every row of a tile. */
#define GML_SHORT_EPILOGUE 14

/* ---- the micro-kernel ---------------------------------------------------------------------
 */

#define GML_MAX_SUMS 32

typedef struct tile {
    gml_emit *e;
    const gml_gemm *g;
    unsigned lanes;                  /* of a vector */
    unsigned rows;                   /* of this form of tile */
    LLVMValueRef a;                  /* element (row 0, k = 0) of all of A for this batch */
    LLVMValueRef b;                  /* of the first panel */
    LLVMValueRef panel, panel_end;   /* of the unit */
    LLVMValueRef room;               /* for mr * nr floats */
    LLVMValueRef sums[GML_MAX_SUMS]; /* row by row */
} tile;

static LLVMValueRef float_at(gml_emit *e, LLVMValueRef base, LLVMValueRef index)
{
    return LLVMBuildInBoundsGEP2(e->b, e->be->f32, base, &index, 1, "");
}

static LLVMValueRef min_of(gml_emit *e, LLVMValueRef a, LLVMValueRef b)
{
    LLVMTypeRef type = e->be->i64;
    LLVMValueRef args[2] = {a, b};
    return gml_ll_intrinsic(e, "llvm.smin", &type, 1, args, 2);
}

static LLVMValueRef add(gml_emit *e, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildAdd(e->b, a, b, "");
}

static LLVMValueRef times(gml_emit *e, LLVMValueRef a, gml_dim factor)
{
    return LLVMBuildMul(e->b, a, gml_emit_dim(e, factor), "");
}

/* Elements from the tile's first row to row `i`. */
static LLVMValueRef row_offset(const tile *t, unsigned i)
{
    const gml_gemm *g = t->g;
    const gml_run *inner = &g->rows[g->n_rows - 1];
    gml_emit *e = t->e;
    if (g->step_rows == 1)
        return times(e, gml_ll_int(e, i), g->line_stride);
    return gml_ll_int(e, i / g->step_rows * g->line_stride + i % g->step_rows * inner->stride);
}

/* One step of k: rows x vectors products; `a` and `b` are the addresses at that k. */
static void step(tile *t, LLVMValueRef a_at, LLVMValueRef b_at)
{
    gml_emit *e = t->e;
    unsigned vectors = t->g->vectors;
    LLVMTypeRef vector = LLVMVectorType(e->be->f32, t->lanes);
    LLVMValueRef b[2];
    for (unsigned j = 0; j < vectors; j++) {
        b[j] = LLVMBuildLoad2(e->b, vector,
                              float_at(e, b_at, gml_ll_int(e, (int64_t)(j * t->lanes))), "");
        LLVMSetAlignment(b[j], t->lanes * 4);
    }
    for (unsigned i = 0; i < t->rows; i++) {
        LLVMValueRef at = float_at(e, a_at, row_offset(t, i));
        LLVMValueRef a = gml_ll_splat(e, LLVMBuildLoad2(e->b, e->be->f32, at, ""), t->lanes);
        for (unsigned j = 0; j < vectors; j++)
            t->sums[i * vectors + j] = gml_ll_fma(e, a, b[j], t->sums[i * vectors + j]);
    }
}

/* The innermost run of taps, from the addresses of its first. */
static void run_of_taps(tile *t, LLVMValueRef a_at, LLVMValueRef b_at)
{
    gml_emit *e = t->e;
    const gml_run *run = &t->g->taps[t->g->n_taps - 1];
    unsigned n_sums = t->rows * t->g->vectors;
    bool known = gml_dim_is_const(run->extent);
    int64_t unroll = known && run->extent <= GML_STRAIGHT_TAPS ? run->extent : GML_TAPS_UNROLL;
    /* a row that begins inside the taps of its neighbour reads the same elements again: LLVM
     * would keep all of them in registers, which there are not */
    if (gml_dim_is_const(t->g->line_stride) && t->g->line_stride < unroll * run->stride)
        unroll = t->g->line_stride > run->stride ? t->g->line_stride / run->stride : 1;
    LLVMValueRef at = gml_ll_int(e, 0);
    LLVMValueRef end = gml_emit_dim(e, run->extent);
    bool rest = false;
    while (unroll) {
        gml_loop loop;
        bool once = known && (run->extent == unroll || rest);
        if (!once) {
            LLVMValueRef whole = LLVMBuildSub(e->b, end, gml_ll_int(e, unroll - 1), "");
            gml_loop_begin(e, &loop, at, whole, unroll, t->sums, n_sums);
            memcpy(t->sums, loop.phis, n_sums * sizeof *t->sums);
            at = loop.counter;
        }
        LLVMValueRef a = float_at(e, a_at, times(e, at, run->stride));
        LLVMValueRef b = float_at(e, b_at, times(e, at, t->g->nr));
        for (int64_t u = 0; u < unroll; u++)
            step(t, float_at(e, a, times(e, gml_ll_int(e, u), run->stride)),
                 float_at(e, b, gml_ll_int(e, u * t->g->nr)));
        if (once)
            break;
        gml_loop_end(e, &loop, t->sums);
        memcpy(t->sums, loop.phis, n_sums * sizeof *t->sums);
        unroll = known ? run->extent % unroll : unroll > 1;
        rest = known;
    }
}

static LLVMTypeRef vector_of(const tile *t)
{
    return LLVMVectorType(t->e->be->f32, t->lanes);
}

static LLVMValueRef room_of(const tile *t, unsigned i)
{
    return float_at(t->e, t->room, gml_ll_int(t->e, (int64_t)(i * t->lanes)));
}

static void clear_sums(tile *t)
{
    for (unsigned i = 0; i < t->rows * t->g->vectors; i++)
        t->sums[i] = LLVMConstNull(vector_of(t));
}

/* Adds the sums of a chain to those of the chains before. */
static void add_sums(tile *t)
{
    gml_emit *e = t->e;
    for (unsigned i = 0; i < t->rows * t->g->vectors; i++) {
        LLVMValueRef so_far = LLVMBuildLoad2(e->b, vector_of(t), room_of(t, i), "");
        LLVMBuildStore(e->b, LLVMBuildFAdd(e->b, so_far, t->sums[i], ""), room_of(t, i));
    }
}

static void sums_to_room(const tile *t)
{
    for (unsigned i = 0; i < t->rows * t->g->vectors; i++)
        LLVMBuildStore(t->e->b, t->sums[i], room_of(t, i));
}

static void sums_from_room(tile *t)
{
    for (unsigned i = 0; i < t->rows * t->g->vectors; i++)
        t->sums[i] = LLVMBuildLoad2(t->e->b, vector_of(t), room_of(t, i), "");
}

/* The runs of taps from `level` on. */
static void runs_of_taps(tile *t, unsigned level, LLVMValueRef a_at, LLVMValueRef b_at)
{
    gml_emit *e = t->e;
    const gml_gemm *g = t->g;
    unsigned n_sums = t->rows * g->vectors;
    if (level + 1 == g->n_taps) {
        run_of_taps(t, a_at, b_at);
        return;
    }
    gml_dim inside = g->nr; /* elements of the panel in one step of this run */
    for (unsigned i = level + 1; i < g->n_taps; i++)
        inside = gml_dim_mul(e->kernel->dims, inside, g->taps[i].extent);
    gml_loop loop;
    bool chains = g->in_chains && level <= g->chain; /* sums live in `room` */
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_emit_dim(e, g->taps[level].extent), 1,
                   t->sums, chains ? 0 : n_sums);
    if (!chains)
        memcpy(t->sums, loop.phis, n_sums * sizeof *t->sums);
    if (g->in_chains && level == g->chain)
        clear_sums(t);
    runs_of_taps(t, level + 1, float_at(e, a_at, times(e, loop.counter, g->taps[level].stride)),
                 float_at(e, b_at, times(e, loop.counter, inside)));
    if (g->in_chains && level == g->chain)
        add_sums(t);
    gml_loop_end(e, &loop, chains ? NULL : t->sums);
    if (!chains)
        memcpy(t->sums, loop.phis, n_sums * sizeof *t->sums);
}

/* ---- the epilogue -------------------------------------------------------------------------
 */

static unsigned size_of(const gml_expr *expr, unsigned limit)
{
    if (expr->kind != GML_EXPR_SCALAR || expr->dtype == GML_I64 || limit == 0)
        return 1;
    unsigned size = 1;
    for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op) && size < limit; i++)
        size += size_of(expr->as.scalar.args[i], limit - size);
    return size;
}

/* Short epilogues are written out for every row and take the sums from their registers; long
 * ones are a loop over the rows. */
static bool is_written_out(const gml_gemm *g)
{
    unsigned size = 0;
    for (const gml_stmt *store = g->c.store; store; store = store->next)
        size += size_of(store->as.store.value, GML_SHORT_EPILOGUE + 1);
    return gml_dim_is_const(g->c.m->extent) && size <= GML_SHORT_EPILOGUE;
}

static void finish_row(const tile *t, LLVMValueRef row, LLVMValueRef sum)
{
    gml_emit *e = t->e;
    gml_scope_push(e);
    e->axis[t->g->c.m->number] = row;
    gml_emit_assume(e, t->g->c.sum, sum);
    for (const gml_stmt *store = t->g->c.store; store; store = store->next)
        gml_emit_store(e, store);
    gml_scope_pop(e);
}

static void finish_rows(const tile *t, LLVMValueRef first, unsigned j)
{
    gml_emit *e = t->e;
    const gml_gemm *g = t->g;
    if (is_written_out(g)) {
        for (unsigned i = 0; i < t->rows; i++)
            finish_row(t, add(e, first, gml_ll_int(e, i)), t->sums[i * g->vectors + j]);
        return;
    }
    LLVMValueRef rows = gml_ll_int(e, t->rows);
    if (!gml_dim_is_const(g->c.m->extent))
        rows = min_of(e, rows, LLVMBuildSub(e->b, gml_emit_dim(e, g->c.m->extent), first, ""));
    gml_loop loop;
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), rows, 1, NULL, 0);
    LLVMValueRef at =
        add(e, times(e, loop.counter, g->nr), gml_ll_int(e, (int64_t)(j * t->lanes)));
    LLVMValueRef sum = LLVMBuildLoad2(e->b, LLVMVectorType(e->be->f32, t->lanes),
                                      float_at(e, t->room, at), "");
    finish_row(t, add(e, first, loop.counter), sum);
    gml_loop_end(e, &loop, NULL);
}

/* The stores' expressions over the finished sums. What does not depend on the row is computed
 * once for all rows. */
static void finish(const tile *t, LLVMValueRef first, LLVMValueRef column)
{
    gml_emit *e = t->e;
    const gml_gemm *g = t->g;
    const gml_axis *n = g->c.n;
    LLVMValueRef end = gml_emit_dim(e, n->extent);
    bool ragged = !gml_dim_is_const(n->extent) || n->extent % g->nr != 0;
    if (!is_written_out(g))
        sums_to_room(t);
    for (unsigned j = 0; j < g->vectors; j++) {
        gml_scope_push(e);
        e->axis[n->number] = add(e, column, gml_ll_int(e, (int64_t)(j * t->lanes)));
        e->vector = n;
        e->lanes = t->lanes;
        e->mask = ragged ? gml_emit_lane_mask(e, e->axis[n->number], end) : NULL;
        for (const gml_stmt *store = g->c.store; store; store = store->next)
            gml_emit_hoist(e, store->as.store.value, UINT64_C(1) << g->c.m->number);
        finish_rows(t, first, j);
        e->mask = NULL;
        e->vector = NULL;
        e->lanes = 1;
        gml_scope_pop(e);
    }
}

/* Loads of whole rows of the tile, as a residual is. */
static void collect_loads(const gml_expr *expr, const gml_contraction *c, const gml_expr **out,
                          unsigned *n)
{
    uint64_t both = UINT64_C(1) << c->m->number | UINT64_C(1) << c->n->number;
    if ((expr->free & both) != both || expr->dtype == GML_I64)
        return;
    if (expr->kind == GML_EXPR_LOAD && expr != c->sum && !expr->as.load.pred &&
        *n < GML_MAX_AHEAD) {
        out[(*n)++] = expr;
        return;
    }
    if (expr->kind == GML_EXPR_SCALAR)
        for (int i = 0; i < gml_scalar_arity(expr->as.scalar.op); i++)
            collect_loads(expr->as.scalar.args[i], c, out, n);
}

static void ask_for(gml_emit *e, const gml_mem *mem, const gml_expr *const *index, bool write)
{
    const gml_expr *flat = gml_index_flat(e->kernel, mem, index);
    LLVMTypeRef type = e->be->ptr;
    LLVMValueRef args[4] = {gml_emit_address(e, mem, gml_emit_expr(e, flat)),
                            LLVMConstInt(e->be->i32, write, 0), LLVMConstInt(e->be->i32, 3, 0),
                            LLVMConstInt(e->be->i32, 1, 0)};
    gml_ll_intrinsic(e, "llvm.prefetch", &type, 1, args, 4);
}

/* What the epilogue reads and writes row by row comes from far away, a few lines of each row at
 * a time: it is asked for before the sums are computed. */
static void ask_ahead(const tile *t, LLVMValueRef first, LLVMValueRef column)
{
    gml_emit *e = t->e;
    const gml_contraction *c = &t->g->c;
    const gml_expr *loads[GML_MAX_AHEAD];
    unsigned n_loads = 0;
    if (!gml_dim_is_const(c->m->extent) || !gml_dim_is_const(c->n->extent) ||
        c->m->extent * c->n->extent * 4 < GML_FAR_BYTES)
        return;
    for (const gml_stmt *store = c->store; store; store = store->next)
        collect_loads(store->as.store.value, c, loads, &n_loads);
    for (unsigned i = 0; i < t->rows; i++)
        for (unsigned j = 0; j < t->g->vectors; j++) {
            gml_scope_push(e);
            e->axis[c->m->number] = add(e, first, gml_ll_int(e, i));
            e->axis[c->n->number] = add(e, column, gml_ll_int(e, (int64_t)(j * t->lanes)));
            for (unsigned l = 0; l < n_loads; l++)
                ask_for(e, loads[l]->as.load.mem, loads[l]->as.load.index, false);
            for (const gml_stmt *store = c->store; store; store = store->next)
                ask_for(e, store->as.store.mem, store->as.store.index, true);
            gml_scope_pop(e);
        }
}

/* ---- parts --------------------------------------------------------------------------------
 */

/* Where the sums of the tile from row `first` on are kept between parts. */
static LLVMValueRef kept_sums(const tile *t, LLVMValueRef first, LLVMValueRef panel)
{
    gml_emit *e = t->e;
    LLVMValueRef row = add(e, times(e, panel, t->g->c.m->extent), first);
    return gml_emit_address(e, t->g->sums, times(e, row, t->g->nr));
}

static void begin_sums(tile *t, LLVMValueRef first, LLVMValueRef panel)
{
    gml_emit *e = t->e;
    LLVMTypeRef vector = LLVMVectorType(e->be->f32, t->lanes);
    LLVMValueRef kept = t->g->part > 0 ? kept_sums(t, first, panel) : NULL;
    for (unsigned i = 0; i < t->rows * t->g->vectors; i++) {
        t->sums[i] = LLVMConstNull(vector);
        if (!kept)
            continue;
        LLVMValueRef at = float_at(e, kept, gml_ll_int(e, (int64_t)(i * t->lanes)));
        t->sums[i] = LLVMBuildLoad2(e->b, vector, at, "");
        LLVMSetAlignment(t->sums[i], t->lanes * 4);
    }
}

static void keep_sums(const tile *t, LLVMValueRef first, LLVMValueRef panel)
{
    gml_emit *e = t->e;
    LLVMValueRef kept = kept_sums(t, first, panel);
    for (unsigned i = 0; i < t->rows * t->g->vectors; i++)
        LLVMSetAlignment(
            LLVMBuildStore(e->b, t->sums[i],
                           float_at(e, kept, gml_ll_int(e, (int64_t)(i * t->lanes)))),
            t->lanes * 4);
}

/* ---- tiles --------------------------------------------------------------------------------
 */

/* A tile of `steps` steps from step `first` of line `line` on, for each panel of the group. */
static void emit_tile(tile *t, int64_t steps, LLVMValueRef line, LLVMValueRef first)
{
    gml_emit *e = t->e;
    const gml_gemm *g = t->g;
    t->rows = (unsigned)steps * g->step_rows;
    LLVMValueRef row = times(e, add(e, times(e, line, g->line_steps), first), g->step_rows);
    LLVMValueRef offset = times(e, first, g->line_stride);
    for (unsigned i = g->n_line_runs; i-- > 0;)
        offset = add(e, offset,
                     times(e, gml_emit_peel(e, &line, g->rows[i].extent), g->rows[i].stride));
    LLVMValueRef a = float_at(e, t->a, offset);
    gml_loop loop;
    gml_loop_begin(e, &loop, t->panel, t->panel_end, 1, NULL, 0);
    LLVMValueRef size = times(e, gml_emit_dim(e, g->depth), g->nr);
    LLVMValueRef b = float_at(e, t->b, LLVMBuildMul(e->b, loop.counter, size, ""));
    begin_sums(t, row, loop.counter);
    if (g->part + 1 == g->n_parts)
        ask_ahead(t, row, times(e, loop.counter, g->nr));
    if (g->first_of_a)
        a = float_at(e, a, gml_ll_int(e, g->first_of_a));
    if (g->first_of_b)
        b = float_at(e, b, gml_ll_int(e, g->first_of_b * g->nr));
    if (g->in_chains)
        sums_to_room(t);
    runs_of_taps(t, 0, a, b);
    if (g->in_chains)
        sums_from_room(t);
    if (g->part + 1 == g->n_parts)
        finish(t, row, times(e, loop.counter, g->nr));
    else
        keep_sums(t, row, loop.counter);
    gml_loop_end(e, &loop, NULL);
}

/* Tiles begin..end-1. */
static void emit_tiles(tile *t, LLVMValueRef begin, LLVMValueRef end)
{
    gml_emit *e = t->e;
    const gml_gemm *g = t->g;
    gml_loop loop;
    gml_loop_begin(e, &loop, begin, end, 1, NULL, 0);
    LLVMValueRef line = gml_ll_int(e, 0);
    LLVMValueRef at = loop.counter;
    if (g->n_line_runs) {
        line = at;
        at = gml_emit_peel(e, &line, g->line_tiles);
    }
    LLVMValueRef wide = gml_ll_int(e, g->wide_tiles);
    LLVMValueRef first = add(e, times(e, at, g->tile_steps), min_of(e, at, wide));
    if (g->wide_tiles) {
        LLVMBasicBlockRef after =
            gml_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSLT, at, wide, ""));
        emit_tile(t, g->tile_steps + 1, line, first);
        gml_if_end(e, after);
        after = gml_if_begin(e, LLVMBuildICmp(e->b, LLVMIntSGE, at, wide, ""));
        emit_tile(t, g->tile_steps, line, first);
        gml_if_end(e, after);
    } else {
        emit_tile(t, g->tile_steps, line, first);
    }
    gml_loop_end(e, &loop, NULL);
}

/* Element (k = 0, column 0) of the first panel. */
static LLVMValueRef panels_address(gml_emit *e, const gml_gemm *g)
{
    gml_kernel *kernel = e->kernel;
    const gml_expr *index[GML_MAX_RANK];
    int rank = 0;
    for (unsigned i = 0; i < g->c.n_batch; i++)
        if (g->c.b_batch >> g->c.batch[i]->number & 1)
            index[rank++] = gml_expr_axis(kernel, g->c.batch[i]);
    for (int i = 0; i < 3; i++)
        index[rank++] = gml_expr_int(kernel, GML_I64, 0);
    return gml_emit_address(e, g->b_mem,
                            gml_emit_expr(e, gml_index_flat(e->kernel, g->b_mem, index)));
}

/* Element (row 0, k = 0) of A. */
static LLVMValueRef rows_address(gml_emit *e, const gml_gemm *g)
{
    const gml_mem *mem = g->a->as.load.mem;
    const gml_expr *flat = gml_index_flat(e->kernel, mem, g->a->as.load.index);
    const gml_expr *zeros[2 * GML_MAX_RANK];
    for (unsigned i = 0; i < g->n_zero; i++)
        zeros[i] = gml_expr_int(e->kernel, GML_I64, 0);
    flat = gml_expr_substitute(e->kernel, flat, g->zero, zeros, g->n_zero);
    return gml_emit_address(e, mem, gml_emit_expr(e, flat));
}

void gml_gemm_emit(gml_emit *e, const gml_gemm *g, LLVMValueRef unit)
{
    tile t = {.e = e, .g = g, .lanes = g->nr / g->vectors, .room = e->room};
    LLVMValueRef group = NULL;
    LLVMValueRef block = NULL;
    if (!g->blocks_inside)
        group = gml_emit_peel(e, &unit, g->groups);
    block = gml_emit_peel(e, &unit, g->blocks);
    for (unsigned i = g->c.n_batch; i-- > 0;)
        e->axis[g->c.batch[i]->number] = gml_emit_peel(e, &unit, g->c.batch[i]->extent);
    if (g->blocks_inside)
        group = gml_emit_peel(e, &unit, g->groups);
    if (g->band) {
        e->axis[g->band->number] = block;
        gml_emit_list(e, g->pack_a);
    }
    t.a = rows_address(e, g);
    t.b = panels_address(e, g);
    t.panel = times(e, group, g->group);
    t.panel_end =
        min_of(e, add(e, t.panel, gml_emit_dim(e, g->group)), gml_emit_dim(e, g->panels));
    LLVMValueRef begin = times(e, block, g->block_tiles);
    LLVMValueRef end =
        min_of(e, add(e, begin, gml_emit_dim(e, g->block_tiles)), gml_emit_dim(e, g->tiles));
    emit_tiles(&t, begin, end);
}
