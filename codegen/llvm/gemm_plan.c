/* codegen/llvm/gemm_plan.c - how a matrix product is cut: tiles, blocks, panels, parts, and
 * what is packed or copied for it. */
#include "codegen/llvm/gemm.h"
#include "ir/index.h"

/* Bytes of A that a unit works through, and of B that stay beside them: a usual L2 has twice as
 * much. */
#define GML_A_IN_L2    (512 * 1024)
#define GML_B_IN_L2    (384 * 1024)
/* More taps than these are cut into parts, unless all of A stays in L2 anyway. */
#define GML_LONG_TAPS  832
/* Products in one sum, at most where the taps divide, and at least. */
#define GML_CHAIN      256
#define GML_MIN_CHAIN  64
/* Units that a product is cut into where that costs little, and bytes of positions that a unit
 * copies for itself. */
#define GML_BANDS      16
#define GML_BAND_BYTES (128 * 1024)

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

static void prepare_a(gml_kernel *kernel, gml_gemm *g)
{
    g->a_bytes = bytes_or(gml_dim_mul(kernel->dims, g->c.m->extent, g->c.k->extent));
    g->b_bytes = bytes_or(gml_dim_mul(kernel->dims, g->c.n->extent, g->c.k->extent));
    if (!read_in_place(kernel, g) && !read_positions(kernel, g, 0)) {
        g->rows[0] = (gml_run){g->c.m->extent, 0}; /* find_room decides how far apart */
        g->taps[0] = (gml_run){g->c.k->extent, 1};
        g->n_rows = g->n_taps = 1;
        g->is_packed = true;
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
    g->depth = c->k->extent;
    if (c->n_batch > 0 || g->n_taps != 1 || !gml_dim_is_const(c->m->extent) ||
        !gml_dim_is_const(c->k->extent) || !gml_dim_is_const(c->n->extent) ||
        c->k->extent < GML_LONG_TAPS || g->a_bytes < GML_A_IN_L2)
        return;
    g->n_parts = (unsigned)((c->k->extent + GML_LONG_TAPS - 1) / GML_LONG_TAPS);
    g->depth = (c->k->extent + g->n_parts - 1) / g->n_parts;
    g->part_taps[0] = gml_kernel_add_axis(kernel, g->depth);
    g->part_taps[1] = gml_kernel_add_axis(kernel, c->k->extent - (g->n_parts - 1) * g->depth);
    g->a_bytes /= g->n_parts;
    gml_dim dims[3] = {gml_dim_ceil_div(kernel->dims, c->n->extent, g->nr), c->m->extent,
                       g->nr};
    g->sums = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "sums", GML_F32, 3, dims);
}

/* Cuts the innermost run of taps where it is long, and finds the level of the chains. */
static void choose_chains(gml_gemm *g)
{
    int64_t depth = 1;
    for (unsigned i = 0; i < g->n_taps; i++) {
        if (!gml_dim_is_const(g->taps[i].extent) || !gml_dim_is_const(g->taps[i].stride))
            return;
        depth *= g->taps[i].extent;
    }
    gml_run *last = &g->taps[g->n_taps - 1];
    if (depth <= GML_CHAIN)
        return;
    int64_t length = GML_CHAIN;
    while (length >= GML_MIN_CHAIN && last->extent % length != 0)
        length--;
    if (last->extent > GML_CHAIN && length >= GML_MIN_CHAIN && g->n_taps < GML_MAX_RANK) {
        g->taps[g->n_taps++] = (gml_run){length, last->stride};
        *last = (gml_run){last->extent / length, last->stride * length};
    }
    int64_t inside = 1;
    for (unsigned i = g->n_taps - 1; i > 0 && !g->in_chains; i--) {
        inside *= g->taps[i].extent;
        g->in_chains = inside >= GML_MIN_CHAIN;
        g->chain = i - 1;
    }
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

/* ---- packing ------------------------------------------------------------------------------
 */

/* Packed rows of A: as many taps as a part has, with room for whole tiles at the end. */
static void find_room(gml_kernel *kernel, gml_gemm *g)
{
    gml_dim_pool *dims = kernel->dims;
    shape s = batch_shape(kernel, &g->c, g->c.a_batch);
    add_axis(kernel, &s, g->c.m);
    add_axis(kernel, &s, g->c.k);
    gml_dim tiles = gml_dim_ceil_div(dims, g->c.m->extent, g->mr);
    gml_dim lines = gml_dim_ceil_div(dims, g->depth, 16);
    s.dims[s.rank - 2] = gml_dim_mul(dims, tiles, g->mr);
    s.dims[s.rank - 1] = gml_dim_add(dims, gml_dim_mul(dims, lines, 16), 16);
    g->a_mem = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "a", GML_F32, s.rank, s.dims);
    g->a = gml_expr_load(kernel, g->a_mem, s.index, NULL);
    g->rows[0].stride = s.dims[s.rank - 1];
    g->zero[0] = g->c.m;
    g->zero[1] = g->c.k;
    g->n_zero = 2;
}

/* The taps that are packed: all, or those of a part. */
typedef struct span {
    const gml_axis *axis;
    const gml_expr *tap; /* as an operand has it */
} span;

static span span_of(gml_kernel *kernel, const gml_axis *axis, int64_t first)
{
    return (span){axis, gml_index_op(kernel, GML_X_ADD, gml_expr_axis(kernel, axis),
                                     integer(kernel, first))};
}

static void pack_rows(gml_kernel *kernel, gml_gemm *g, const span *taps)
{
    shape s = batch_shape(kernel, &g->c, g->c.a_batch);
    add_axis(kernel, &s, g->c.m);
    add_axis(kernel, &s, taps->axis);
    g->pack_a = fill(kernel, g->a_mem, &s, s.rank,
                     gml_expr_substitute(kernel, g->c.a, &g->c.k, &taps->tap, 1));
}

/* Whole panels, and a last one whose missing columns repeat the last column: they are computed
 * and never stored. */
static void pack_panels(gml_kernel *kernel, gml_gemm *g, const span *taps)
{
    const gml_axis *n = g->c.n;
    shape s = batch_shape(kernel, &g->c, g->c.b_batch);
    int n_batch = s.rank;
    gml_dim whole = gml_dim_div(kernel->dims, n->extent, g->nr);
    add_axis(kernel, &s, g->panel);
    add_axis(kernel, &s, taps->axis);
    add_axis(kernel, &s, g->column);
    const gml_axis *const axes[2] = {n, g->c.k};
    const gml_expr *at[2] = {NULL, taps->tap};
    at[0] = gml_index_op(kernel, GML_X_ADD,
                         gml_index_op(kernel, GML_X_MUL, gml_expr_axis(kernel, g->panel),
                                      integer(kernel, g->nr)),
                         gml_expr_axis(kernel, g->column));
    g->pack_b = NULL;
    if (whole != 0)
        gml_stmt_append(&g->pack_b, fill(kernel, g->b_mem, &s, s.rank,
                                         gml_expr_substitute(kernel, g->c.b, axes, at, 2)));
    if (gml_dim_is_const(n->extent) && n->extent % g->nr == 0)
        return;
    /* the last panel: the same without the panel loop */
    const gml_expr *last = gml_expr_dim(kernel, gml_dim_add(kernel->dims, n->extent, -1));
    at[0] =
        gml_index_op(kernel, GML_X_MIN,
                     gml_index_op(kernel, GML_X_ADD,
                                  gml_expr_dim(kernel, gml_dim_mul(kernel->dims, whole, g->nr)),
                                  gml_expr_axis(kernel, g->column)),
                     last);
    for (int i = n_batch; i + 1 < s.rank; i++)
        s.loops[i] = s.loops[i + 1];
    s.index[n_batch] = gml_expr_dim(
        kernel, gml_dim_min(kernel->dims, whole, gml_dim_add(kernel->dims, g->panels, -1)));
    gml_stmt_append(&g->pack_b, fill(kernel, g->b_mem, &s, s.rank - 1,
                                     gml_expr_substitute(kernel, g->c.b, axes, at, 2)));
}

/* Panels of B: of all taps where they are packed once for all runs, else of a part's. */
static void prepare_b(gml_kernel *kernel, gml_gemm *g)
{
    shape s = batch_shape(kernel, &g->c, g->c.b_batch);
    int n_batch = s.rank;
    add_axis(kernel, &s, g->c.n);
    add_axis(kernel, &s, g->c.k);
    add_axis(kernel, &s, g->c.n);
    if (g->c.b_constant)
        g->depth = g->c.k->extent;
    s.dims[n_batch] = g->panels;
    s.dims[n_batch + 1] = g->depth;
    s.dims[n_batch + 2] = g->nr;
    g->panel = gml_kernel_add_axis(kernel, gml_dim_div(kernel->dims, g->c.n->extent, g->nr));
    g->column = gml_kernel_add_axis(kernel, g->nr);
    g->b_mem = gml_kernel_add_mem(kernel, g->c.b_constant ? GML_MEM_INPUT : GML_MEM_LOCAL, "b",
                                  GML_F32, s.rank, s.dims);
}

unsigned gml_gemm_columns(const gml_backend *be, gml_dim columns)
{
    unsigned lanes = be->vector_bytes / 4;
    return gml_dim_is_const(columns) && columns <= lanes ? lanes : 2 * lanes;
}

void gml_gemm_prepare_packed(gml_backend *be, gml_kernel *kernel, const gml_contraction *c,
                             const gml_mem *b, gml_gemm *out)
{
    *out = (gml_gemm){.c = *c, .b_mem = b, .packs_b = b == NULL};
    out->nr = gml_gemm_columns(be, c->n->extent);
    out->vectors = out->nr * 4 / be->vector_bytes;
    out->mr = (be->vector_bytes == 64 ? 28 : 12) / out->vectors;
    prepare_a(kernel, out);
    choose_parts(kernel, out);
    if (out->is_packed)
        find_room(kernel, out);
    if (b)
        out->depth = c->k->extent;
    choose_tiles(kernel, out);
    choose_blocks(kernel, out);
}

void gml_gemm_prepare(gml_backend *be, gml_kernel *kernel, const gml_contraction *c,
                      gml_gemm *out)
{
    gml_gemm_prepare_packed(be, kernel, c, NULL, out);
    prepare_b(kernel, out);
}

gml_gemm gml_gemm_part(gml_kernel *kernel, const gml_gemm *g, unsigned part)
{
    gml_gemm out = *g;
    span all = span_of(kernel, g->c.k, 0);
    span some = all;
    bool is_whole = g->depth == g->c.k->extent; /* B lies there for all parts */
    if (g->n_parts > 1) {
        int64_t depth = g->part_taps[0]->extent;
        int64_t first = depth * part;
        some = span_of(kernel, g->part_taps[part + 1 == g->n_parts], first);
        out.part = part;
        out.taps[0].extent = some.axis->extent;
        out.first_of_a = g->is_packed ? 0 : first * g->taps[0].stride;
        out.first_of_b = is_whole ? first : 0;
    }
    if (g->is_packed)
        pack_rows(kernel, &out, &some);
    else if (part > 0 && !g->band)
        out.pack_a = NULL; /* it is of all parts */
    if (g->packs_b && (part == 0 || !is_whole))
        pack_panels(kernel, &out, is_whole ? &all : &some);
    choose_chains(&out);
    return out;
}

gml_dim gml_gemm_units(gml_kernel *kernel, const gml_gemm *g)
{
    gml_dim units = gml_dim_mul(kernel->dims, g->blocks, g->groups);
    for (unsigned i = 0; i < g->c.n_batch; i++)
        units = gml_dim_mul(kernel->dims, units, g->c.batch[i]->extent);
    return units;
}
