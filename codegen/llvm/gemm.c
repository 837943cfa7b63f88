/* codegen/llvm/gemm.c - matrix products as packed micro-kernels. */
#include "codegen/llvm/gemm.h"

#include "ir/index.h"

#include <string.h>

/* Bytes of A that a unit works through, and of B that stay beside them: a usual L2 has twice as
 * much. */
#define GML_A_IN_L2        (512 * 1024)
#define GML_B_IN_L2        (384 * 1024)
/* More taps than these are cut into parts, unless all of A stays in L2 anyway. */
#define GML_LONG_TAPS      832
/* Units that a product is cut into where that costs little, and bytes of positions that a unit
 * copies for itself. */
#define GML_BANDS          16
#define GML_BAND_BYTES     (128 * 1024)
/* A memory of this size is far away: in L3 or beyond. */
#define GML_FAR_BYTES      (8 * 1024 * 1024)
/* Memories of an epilogue that are asked for ahead. */
#define GML_MAX_AHEAD      4
/* A run of taps is written out when it is this short, else by so many at a time. */
#define GML_STRAIGHT_TAPS  7
#define GML_TAPS_UNROLL    4
/* Operators of an epilogue that is written out for every row of a tile. */
#define GML_SHORT_EPILOGUE 14

static const gml_expr *integer(gml_kernel *kernel, int64_t value)
{
    return gml_expr_int(kernel, GML_I64, value);
}

/* ---- preparing ----------------------------------------------------------------------------
 */

/* Dimensions and index of a packed memory: the batch axes that count, then two or three more.
 */
typedef struct shape {
    gml_dim dims[GML_MAX_RANK];
    const gml_expr *index[GML_MAX_RANK];
    const gml_axis *loops[GML_MAX_RANK]; /* around the statement that fills it */
    int rank;
} shape;

static void add_axis(gml_kernel *kernel, shape *s, const gml_axis *axis)
{
    s->dims[s->rank] = axis->extent;
    s->loops[s->rank] = axis;
    s->index[s->rank++] = gml_expr_axis(kernel, axis);
}

static shape batch_shape(gml_kernel *kernel, const gml_contraction *c, uint64_t used)
{
    shape s = {.rank = 0};
    for (unsigned i = 0; i < c->n_batch; i++)
        if (used >> c->batch[i]->number & 1)
            add_axis(kernel, &s, c->batch[i]);
    return s;
}

static gml_stmt *fill(gml_kernel *kernel, const gml_mem *mem, const shape *s, int n_loops,
                      const gml_expr *value)
{
    gml_stmt *stmt = gml_stmt_store(kernel, mem, s->index, value);
    for (int i = n_loops; i-- > 0;)
        stmt = gml_stmt_for(kernel, s->loops[i], stmt);
    return stmt;
}

/* The bytes of so many floats, or a large number where only a run knows. */
static int64_t bytes_or(gml_dim count)
{
    return gml_dim_is_const(count) ? count * 4 : INT64_C(1) << 40;
}

static bool read_in_place(gml_kernel *kernel, gml_gemm *g)
{
    const gml_expr *a = g->c.a_at;
    if (a->kind != GML_EXPR_LOAD || a->as.load.pred || a->as.load.mem->dtype != GML_F32)
        return false;
    g->n_rows = gml_positions_runs(kernel, a, g->c.rows, g->c.n_rows, g->rows);
    g->n_taps = gml_positions_runs(kernel, a, g->c.taps, g->c.n_taps, g->taps);
    /* rows a multiple of a page apart share the sets of L1 */
    g->a = a;
    return g->n_rows && g->n_taps && g->taps[g->n_taps - 1].stride == 1 &&
           g->rows[g->n_rows - 1].stride % 1024 != 0;
}

static bool read_positions(gml_kernel *kernel, gml_gemm *g, int64_t band)
{
    gml_positions positions;
    if (!gml_positions_find(kernel, &g->c, band, &positions))
        return false;
    g->a_mem = positions.mem;
    g->pack_a = positions.fill;
    g->a = positions.load;
    g->band = positions.block;
    g->a_bytes = positions.bytes;
    g->n_rows = gml_positions_runs(kernel, g->a, g->c.rows, g->c.n_rows, g->rows);
    g->n_taps = gml_positions_runs(kernel, g->a, g->c.taps, g->c.n_taps, g->taps);
    return true;
}

/* Rows of k, with room for whole tiles at the end. */
static void read_packed(gml_kernel *kernel, gml_gemm *g)
{
    gml_dim_pool *dims = kernel->dims;
    shape s = batch_shape(kernel, &g->c, g->c.a_batch);
    add_axis(kernel, &s, g->c.m);
    add_axis(kernel, &s, g->c.k);
    gml_dim tiles = gml_dim_ceil_div(dims, g->c.m->extent, g->mr);
    gml_dim lines = gml_dim_ceil_div(dims, g->c.k->extent, 16);
    s.dims[s.rank - 2] = gml_dim_mul(dims, tiles, g->mr);
    s.dims[s.rank - 1] = gml_dim_add(dims, gml_dim_mul(dims, lines, 16), 16);
    g->a_mem = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "a", GML_F32, s.rank, s.dims);
    g->pack_a = fill(kernel, g->a_mem, &s, s.rank, g->c.a);
    g->a = gml_expr_load(kernel, g->a_mem, s.index, NULL);
    g->rows[0] = (gml_run){g->c.m->extent, s.dims[s.rank - 1]};
    g->taps[0] = (gml_run){g->c.k->extent, 1};
    g->n_rows = g->n_taps = 1;
    g->zero[0] = g->c.m;
    g->zero[1] = g->c.k;
    g->n_zero = 2;
}

static void prepare_a(gml_kernel *kernel, gml_gemm *g)
{
    g->a_bytes = bytes_or(gml_dim_mul(kernel->dims, g->c.m->extent, g->c.k->extent));
    g->b_bytes = bytes_or(gml_dim_mul(kernel->dims, g->c.n->extent, g->c.k->extent));
    if (!read_in_place(kernel, g) && !read_positions(kernel, g, 0)) {
        read_packed(kernel, g);
        return;
    }
    for (unsigned i = 0; i < g->c.n_rows; i++)
        g->zero[g->n_zero++] = g->c.rows[i];
    for (unsigned i = 0; i < g->c.n_taps; i++)
        g->zero[g->n_zero++] = g->c.taps[i];
}

static void choose_parts(gml_kernel *kernel, gml_gemm *g)
{
    const gml_contraction *c = &g->c;
    g->n_parts = 1;
    if (c->n_batch > 0 || g->n_taps != 1 || !gml_dim_is_const(c->m->extent) ||
        !gml_dim_is_const(c->k->extent) || !gml_dim_is_const(c->n->extent) ||
        c->k->extent < GML_LONG_TAPS || g->a_bytes < GML_A_IN_L2)
        return;
    g->n_parts = (unsigned)((c->k->extent + GML_LONG_TAPS - 1) / GML_LONG_TAPS);
    g->a_bytes /= g->n_parts;
    gml_dim dims[3] = {gml_dim_ceil_div(kernel->dims, c->n->extent, g->nr), c->m->extent,
                       g->nr};
    g->sums = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "sums", GML_F32, 3, dims);
}

/* Cuts the rows into tiles of nearly equal size. */
static void choose_tiles(gml_kernel *kernel, gml_gemm *g)
{
    const gml_run *run = &g->rows[g->n_rows - 1];
    g->n_line_runs = g->n_rows - 1;
    g->step_rows = 1;
    if (g->n_rows > 1 && run->extent * 2 <= g->mr) {
        g->step_rows = (unsigned)run->extent;
        g->n_line_runs--;
        run--;
    }
    g->line_steps = run->extent;
    g->line_stride = run->stride;
    g->tile_steps = g->mr / g->step_rows;
    g->line_tiles = gml_dim_ceil_div(kernel->dims, run->extent, g->tile_steps);
    if (gml_dim_is_const(run->extent) && g->line_tiles > 0) {
        g->tile_steps = run->extent / g->line_tiles;
        g->wide_tiles = run->extent % g->line_tiles;
    }
    g->tiles = g->line_tiles;
    for (unsigned i = 0; i < g->n_line_runs; i++)
        g->tiles = gml_dim_mul(kernel->dims, g->tiles, g->rows[i].extent);
}

/* Each unit copies the positions that it reads, when there are enough units of that kind. */
static bool choose_band(gml_kernel *kernel, gml_gemm *g)
{
    bool merged = g->c.n_rows != g->n_rows;
    if (!g->a_mem || merged || g->n_line_runs == 0 || g->b_bytes > GML_B_IN_L2)
        return false;
    int64_t lines = g->c.rows[0]->extent;
    if (lines < GML_BANDS)
        return false;
    int64_t band = lines / GML_BANDS;
    int64_t most = GML_BAND_BYTES / (g->a_bytes / lines + 1);
    if (band > most)
        band = most > 1 ? most : 1;
    if (!read_positions(kernel, g, band))
        return false;
    g->block_tiles = gml_dim_mul(kernel->dims, g->line_tiles, band);
    for (unsigned i = 1; i < g->n_line_runs; i++)
        g->block_tiles *= g->rows[i].extent;
    g->line_stride = g->rows[g->n_rows - 1].stride;
    return true;
}

/* Blocks of nearly equal size whose rows stay in L2. */
static void choose_blocks(gml_kernel *kernel, gml_gemm *g)
{
    bool known = gml_dim_is_const(g->tiles) && g->tiles > 0;
    g->panels = gml_dim_ceil_div(kernel->dims, g->c.n->extent, g->nr);
    g->group = g->b_bytes <= GML_B_IN_L2 ? g->panels : 1;
    if (!choose_band(kernel, g)) {
        int64_t tile_bytes = known ? g->a_bytes / g->tiles + 1 : 4096 * g->mr;
        g->block_tiles = GML_A_IN_L2 / tile_bytes;
        if (g->block_tiles < 2)
            g->block_tiles = 2;
        if (known && g->group != 1 && g->block_tiles > g->tiles / GML_BANDS)
            g->block_tiles = g->tiles / GML_BANDS + 1;
        if (known) {
            int64_t blocks = (g->tiles + g->block_tiles - 1) / g->block_tiles;
            g->block_tiles = (g->tiles + blocks - 1) / blocks;
        }
    }
    g->blocks = gml_dim_ceil_div(kernel->dims, g->tiles, g->block_tiles);
    g->groups = gml_dim_ceil_div(kernel->dims, g->panels, g->group);
    /* whichever is read again and again: all of A for each panel, or all of B for each block */
    if (gml_dim_is_const(g->blocks) && gml_dim_is_const(g->panels))
        g->blocks_inside =
            g->a_bytes <= GML_A_IN_L2 || g->a_bytes * g->panels < g->b_bytes * g->blocks;
}

/* Whole panels, and a last one whose missing columns repeat the last column: they are computed
 * and never stored. */
static void prepare_b(gml_kernel *kernel, gml_gemm *g)
{
    const gml_axis *n = g->c.n;
    shape s = batch_shape(kernel, &g->c, g->c.b_batch);
    int n_batch = s.rank;
    gml_dim whole = gml_dim_div(kernel->dims, n->extent, g->nr);
    const gml_axis *panel = gml_kernel_add_axis(kernel, whole);
    const gml_axis *column = gml_kernel_add_axis(kernel, g->nr);
    add_axis(kernel, &s, panel);
    add_axis(kernel, &s, g->c.k);
    add_axis(kernel, &s, column);
    s.dims[n_batch] = g->panels;
    g->b_mem = gml_kernel_add_mem(kernel, g->c.b_constant ? GML_MEM_INPUT : GML_MEM_LOCAL, "b",
                                  GML_F32, s.rank, s.dims);
    const gml_expr *at = gml_index_op(
        kernel, GML_X_ADD,
        gml_index_op(kernel, GML_X_MUL, gml_expr_axis(kernel, panel), integer(kernel, g->nr)),
        gml_expr_axis(kernel, column));
    g->pack_b = NULL;
    if (whole != 0) {
        const gml_expr *value = gml_expr_substitute(kernel, g->c.b, &n, &at, 1);
        gml_stmt_append(&g->pack_b, fill(kernel, g->b_mem, &s, s.rank, value));
    }
    if (gml_dim_is_const(n->extent) && n->extent % g->nr == 0)
        return;
    /* the last panel: the same without the panel loop */
    const gml_expr *last = gml_expr_dim(kernel, gml_dim_add(kernel->dims, n->extent, -1));
    at =
        gml_index_op(kernel, GML_X_MIN,
                     gml_index_op(kernel, GML_X_ADD,
                                  gml_expr_dim(kernel, gml_dim_mul(kernel->dims, whole, g->nr)),
                                  gml_expr_axis(kernel, column)),
                     last);
    for (int i = n_batch; i + 1 < s.rank; i++)
        s.loops[i] = s.loops[i + 1];
    s.index[n_batch] = gml_expr_dim(
        kernel, gml_dim_min(kernel->dims, whole, gml_dim_add(kernel->dims, g->panels, -1)));
    gml_stmt_append(&g->pack_b, fill(kernel, g->b_mem, &s, s.rank - 1,
                                     gml_expr_substitute(kernel, g->c.b, &n, &at, 1)));
}

unsigned gml_gemm_columns(const gml_backend *be, gml_dim columns)
{
    unsigned lanes = be->vector_bytes / 4;
    return gml_dim_is_const(columns) && columns <= lanes ? lanes : 2 * lanes;
}

void gml_gemm_prepare_packed(gml_backend *be, gml_kernel *kernel, const gml_contraction *c,
                             const gml_mem *b, gml_gemm *out)
{
    *out = (gml_gemm){.c = *c, .b_mem = b};
    out->nr = gml_gemm_columns(be, c->n->extent);
    out->vectors = out->nr * 4 / be->vector_bytes;
    out->mr = (be->vector_bytes == 64 ? 28 : 12) / out->vectors;
    prepare_a(kernel, out);
    choose_parts(kernel, out);
    choose_tiles(kernel, out);
    choose_blocks(kernel, out);
}

gml_gemm gml_gemm_part(const gml_gemm *g, unsigned part)
{
    gml_gemm out = *g;
    out.part = part;
    if (g->n_parts == 1)
        return out;
    int64_t depth = (g->c.k->extent + g->n_parts - 1) / g->n_parts;
    out.first_tap = depth * part;
    out.taps[0].extent = part + 1 < g->n_parts ? depth : g->c.k->extent - out.first_tap;
    return out;
}

void gml_gemm_prepare(gml_backend *be, gml_kernel *kernel, const gml_contraction *c,
                      gml_gemm *out)
{
    gml_gemm_prepare_packed(be, kernel, c, NULL, out);
    prepare_b(kernel, out);
}

gml_dim gml_gemm_units(gml_kernel *kernel, const gml_gemm *g)
{
    gml_dim units = gml_dim_mul(kernel->dims, g->blocks, g->groups);
    for (unsigned i = 0; i < g->c.n_batch; i++)
        units = gml_dim_mul(kernel->dims, units, g->c.batch[i]->extent);
    return units;
}

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
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_emit_dim(e, g->taps[level].extent), 1,
                   t->sums, n_sums);
    memcpy(t->sums, loop.phis, n_sums * sizeof *t->sums);
    runs_of_taps(t, level + 1, float_at(e, a_at, times(e, loop.counter, g->taps[level].stride)),
                 float_at(e, b_at, times(e, loop.counter, inside)));
    gml_loop_end(e, &loop, t->sums);
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
    return gml_dim_is_const(g->c.m->extent) &&
           size_of(g->c.store->as.store.value, GML_SHORT_EPILOGUE + 1) <= GML_SHORT_EPILOGUE;
}

static void finish_row(const tile *t, LLVMValueRef row, LLVMValueRef sum)
{
    gml_emit *e = t->e;
    gml_scope_push(e);
    e->axis[t->g->c.m->number] = row;
    gml_emit_assume(e, t->g->c.sum, sum);
    gml_emit_store(e, t->g->c.store);
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

/* The store's expression over the finished sums. What does not depend on the row is computed
 * once for all rows. */
static void finish(const tile *t, LLVMValueRef first, LLVMValueRef column)
{
    gml_emit *e = t->e;
    const gml_gemm *g = t->g;
    const gml_axis *n = g->c.n;
    LLVMValueRef end = gml_emit_dim(e, n->extent);
    bool ragged = !gml_dim_is_const(n->extent) || n->extent % g->nr != 0;
    if (!is_written_out(g))
        for (unsigned i = 0; i < t->rows * g->vectors; i++)
            LLVMBuildStore(e->b, t->sums[i],
                           float_at(e, t->room, gml_ll_int(e, (int64_t)(i * t->lanes))));
    for (unsigned j = 0; j < g->vectors; j++) {
        gml_scope_push(e);
        e->axis[n->number] = add(e, column, gml_ll_int(e, (int64_t)(j * t->lanes)));
        e->vector = n;
        e->lanes = t->lanes;
        e->mask = ragged ? gml_emit_lane_mask(e, e->axis[n->number], end) : NULL;
        gml_emit_hoist(e, g->c.store->as.store.value, UINT64_C(1) << g->c.m->number);
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
    collect_loads(c->store->as.store.value, c, loads, &n_loads);
    for (unsigned i = 0; i < t->rows; i++)
        for (unsigned j = 0; j < t->g->vectors; j++) {
            gml_scope_push(e);
            e->axis[c->m->number] = add(e, first, gml_ll_int(e, i));
            e->axis[c->n->number] = add(e, column, gml_ll_int(e, (int64_t)(j * t->lanes)));
            for (unsigned l = 0; l < n_loads; l++)
                ask_for(e, loads[l]->as.load.mem, loads[l]->as.load.index, false);
            ask_for(e, c->store->as.store.mem, c->store->as.store.index, true);
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
    LLVMValueRef size = times(e, gml_emit_dim(e, g->c.k->extent), g->nr);
    LLVMValueRef b = float_at(e, t->b, LLVMBuildMul(e->b, loop.counter, size, ""));
    begin_sums(t, row, loop.counter);
    if (g->part + 1 == g->n_parts)
        ask_ahead(t, row, times(e, loop.counter, g->nr));
    if (g->first_tap) {
        a = float_at(e, a, gml_ll_int(e, g->first_tap * g->taps[0].stride));
        b = float_at(e, b, gml_ll_int(e, g->first_tap * g->nr));
    }
    runs_of_taps(t, 0, a, b);
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
