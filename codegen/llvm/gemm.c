/* codegen/llvm/gemm.c - matrix products as packed micro-kernels. */
#include "codegen/llvm/gemm.h"

#include "codegen/schedule.h"
#include "ir/index.h"

#include <string.h>

/* Bytes of A that a unit works through: half of a usual L2, the panel takes some of the rest.
 */
#define GML_A_BLOCK_BYTES (512 * 1024)

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

static bool a_in_place(gml_kernel *kernel, const gml_gemm *g)
{
    const gml_expr *a = g->c.a;
    if (a->kind != GML_EXPR_LOAD || a->as.load.pred || a->as.load.mem->dtype != GML_F32 ||
        !gml_dim_is_const(g->c.m->extent))
        return false;
    int64_t k = gml_schedule_stride(kernel, a->as.load.mem, a->as.load.index, g->c.k);
    int64_t m = gml_schedule_stride(kernel, a->as.load.mem, a->as.load.index, g->c.m);
    /* rows a multiple of a page apart share the sets of L1 */
    return k == 1 && m != GML_STRIDE_UNKNOWN && m > 0 && m % 1024 != 0;
}

static void prepare_a(gml_kernel *kernel, gml_gemm *g)
{
    g->a = g->c.a;
    if (a_in_place(kernel, g))
        return;
    shape s = batch_shape(kernel, &g->c, g->c.a_batch);
    add_axis(kernel, &s, g->c.m);
    add_axis(kernel, &s, g->c.k);
    gml_dim padded = gml_dim_mul(kernel->dims, g->tiles, g->mr);
    gml_dim row = gml_dim_add(
        kernel->dims,
        gml_dim_mul(kernel->dims, gml_dim_ceil_div(kernel->dims, g->c.k->extent, 16), 16), 16);
    s.dims[s.rank - 2] = padded;
    s.dims[s.rank - 1] = row;
    g->a_mem = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "a", GML_F32, s.rank, s.dims);
    g->pack_a = fill(kernel, g->a_mem, &s, s.rank, g->c.a);
    g->a = gml_expr_load(kernel, g->a_mem, s.index, NULL);
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

void gml_gemm_prepare(gml_backend *be, gml_kernel *kernel, const gml_contraction *c,
                      gml_gemm *out)
{
    *out = (gml_gemm){.c = *c};
    out->nr = be->vector_bytes / 4 * 2;
    out->mr = be->vector_bytes == 64 ? 14 : 6;
    gml_dim rows = c->m->extent;
    out->tiles = gml_dim_ceil_div(kernel->dims, rows, out->mr);
    out->tile_rows = out->mr;
    if (gml_dim_is_const(rows)) {
        out->tile_rows = rows / out->tiles;
        out->wide_tiles = rows % out->tiles;
    }
    int64_t depth = gml_dim_is_const(c->k->extent) ? c->k->extent : 1024;
    int64_t block_rows = GML_A_BLOCK_BYTES / 4 / (depth > 0 ? depth : 1);
    out->block_tiles = block_rows > 2 * out->mr ? block_rows / out->mr : 2;
    if (gml_dim_is_const(out->tiles)) {
        /* blocks of nearly equal size */
        int64_t blocks = (out->tiles + out->block_tiles - 1) / out->block_tiles;
        out->block_tiles = (out->tiles + blocks - 1) / blocks;
    }
    out->blocks = gml_dim_ceil_div(kernel->dims, out->tiles, out->block_tiles);
    out->panels = gml_dim_ceil_div(kernel->dims, c->n->extent, out->nr);
    prepare_a(kernel, out);
    prepare_b(kernel, out);
}

gml_dim gml_gemm_units(gml_kernel *kernel, const gml_gemm *g)
{
    gml_dim units = gml_dim_mul(kernel->dims, g->blocks, g->panels);
    for (unsigned i = 0; i < g->c.n_batch; i++)
        units = gml_dim_mul(kernel->dims, units, g->c.batch[i]->extent);
    return units;
}

/* ---- the micro-kernel ---------------------------------------------------------------------
 */

typedef struct tile {
    gml_emit *e;
    const gml_gemm *g;
    unsigned lanes;    /* of a vector */
    LLVMValueRef a;    /* element (first row, k = 0) */
    LLVMValueRef row;  /* elements from row to row */
    LLVMValueRef b;    /* of the panel */
    LLVMValueRef sums; /* room for mr * nr floats */
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

static LLVMValueRef max_of(gml_emit *e, LLVMValueRef a, LLVMValueRef b)
{
    LLVMTypeRef type = e->be->i64;
    LLVMValueRef args[2] = {a, b};
    return gml_ll_intrinsic(e, "llvm.smax", &type, 1, args, 2);
}

/* One step of k: rows x 2 products. */
static void step(const tile *t, unsigned rows, LLVMValueRef k, LLVMValueRef *sums)
{
    gml_emit *e = t->e;
    LLVMTypeRef vector = LLVMVectorType(e->be->f32, t->lanes);
    LLVMValueRef b[2];
    LLVMValueRef panel = float_at(e, t->b, LLVMBuildMul(e->b, k, gml_ll_int(e, t->g->nr), ""));
    for (unsigned j = 0; j < 2; j++) {
        b[j] = LLVMBuildLoad2(e->b, vector,
                              float_at(e, panel, gml_ll_int(e, (int64_t)(j * t->lanes))), "");
        LLVMSetAlignment(b[j], t->lanes * 4);
    }
    for (unsigned i = 0; i < rows; i++) {
        LLVMValueRef at =
            LLVMBuildAdd(e->b, LLVMBuildMul(e->b, t->row, gml_ll_int(e, i), ""), k, "");
        LLVMValueRef a = gml_ll_splat(
            e, LLVMBuildLoad2(e->b, e->be->f32, float_at(e, t->a, at), ""), t->lanes);
        for (unsigned j = 0; j < 2; j++)
            sums[i * 2 + j] = gml_ll_fma(e, a, b[j], sums[i * 2 + j]);
    }
}

static void multiply(const tile *t, unsigned rows)
{
    gml_emit *e = t->e;
    gml_dim depth = t->g->c.k->extent;
    LLVMValueRef sums[32];
    LLVMValueRef end = gml_emit_dim(e, depth);
    LLVMValueRef at = gml_ll_int(e, 0);
    for (unsigned i = 0; i < rows * 2; i++)
        sums[i] = LLVMConstNull(LLVMVectorType(e->be->f32, t->lanes));
    for (int64_t unroll = 4; unroll; unroll = unroll == 4 ? 1 : 0) {
        if (unroll == 1 && gml_dim_is_const(depth) && depth % 4 == 0)
            break;
        gml_loop loop;
        LLVMValueRef whole = LLVMBuildSub(e->b, end, gml_ll_int(e, unroll - 1), "");
        gml_loop_begin(e, &loop, at, whole, unroll, sums, rows * 2);
        memcpy(sums, loop.phis, rows * 2 * sizeof *sums);
        for (int64_t u = 0; u < unroll; u++)
            step(t, rows, LLVMBuildAdd(e->b, loop.counter, gml_ll_int(e, u), ""), sums);
        gml_loop_end(e, &loop, sums);
        memcpy(sums, loop.phis, rows * 2 * sizeof *sums);
        at = loop.counter;
    }
    for (unsigned i = 0; i < rows * 2; i++)
        LLVMBuildStore(e->b, sums[i],
                       float_at(e, t->sums, gml_ll_int(e, (int64_t)(i * t->lanes))));
}

/* The store's expression over the finished sums, row by row. */
static void finish(const tile *t, LLVMValueRef first, LLVMValueRef rows, LLVMValueRef column)
{
    gml_emit *e = t->e;
    const gml_contraction *c = &t->g->c;
    LLVMValueRef end = gml_emit_dim(e, c->n->extent);
    bool ragged = !gml_dim_is_const(c->n->extent) || c->n->extent % t->g->nr != 0;
    gml_loop loop;
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), rows, 1, NULL, 0);
    e->axis[c->m->number] = LLVMBuildAdd(e->b, first, loop.counter, "");
    LLVMValueRef row = LLVMBuildMul(e->b, loop.counter, gml_ll_int(e, t->g->nr), "");
    for (unsigned j = 0; j < 2; j++) {
        LLVMValueRef offset = gml_ll_int(e, (int64_t)(j * t->lanes));
        gml_scope_push(e);
        e->axis[c->n->number] = LLVMBuildAdd(e->b, column, offset, "");
        e->vector = c->n;
        e->lanes = t->lanes;
        e->mask = ragged ? gml_emit_lane_mask(e, e->axis[c->n->number], end) : NULL;
        LLVMValueRef sum =
            LLVMBuildLoad2(e->b, LLVMVectorType(e->be->f32, t->lanes),
                           float_at(e, t->sums, LLVMBuildAdd(e->b, row, offset, "")), "");
        gml_emit_assume(e, c->sum, sum);
        gml_emit_store(e, c->store);
        e->mask = NULL;
        e->vector = NULL;
        e->lanes = 1;
        gml_scope_pop(e);
    }
    gml_loop_end(e, &loop, NULL);
}

/* Tiles begin..end-1 of `rows` rows each, the first row of tile t being t * rows + shift. */
static void run_tiles(tile *t, LLVMValueRef begin, LLVMValueRef end, int64_t rows,
                      LLVMValueRef shift, LLVMValueRef column)
{
    gml_emit *e = t->e;
    const gml_contraction *c = &t->g->c;
    gml_loop loop;
    gml_loop_begin(e, &loop, begin, end, 1, NULL, 0);
    LLVMValueRef first = LLVMBuildAdd(
        e->b, LLVMBuildMul(e->b, loop.counter, gml_ll_int(e, rows), ""), shift, "");
    const gml_mem *mem = t->g->a->as.load.mem;
    const gml_expr *flat = gml_index_flat(e->kernel, mem, t->g->a->as.load.index);
    /* m is the tile's first row only here, and each row in turn later */
    gml_scope_push(e);
    e->axis[c->m->number] = first;
    e->axis[c->k->number] = gml_ll_int(e, 0);
    t->a = gml_emit_address(e, mem, gml_emit_expr(e, flat));
    gml_scope_pop(e);
    multiply(t, (unsigned)rows);
    LLVMValueRef count = gml_ll_int(e, rows);
    if (!gml_dim_is_const(c->m->extent))
        count = min_of(e, count, LLVMBuildSub(e->b, gml_emit_dim(e, c->m->extent), first, ""));
    finish(t, first, count, column);
    gml_loop_end(e, &loop, NULL);
}

static LLVMValueRef panel_address(gml_emit *e, const gml_gemm *g, LLVMValueRef panel)
{
    gml_kernel *kernel = e->kernel;
    const gml_expr *index[GML_MAX_RANK];
    int rank = 0;
    for (unsigned i = 0; i < g->c.n_batch; i++)
        if (g->c.b_batch >> g->c.batch[i]->number & 1)
            index[rank++] = gml_expr_axis(kernel, g->c.batch[i]);
    for (int i = 0; i < 3; i++)
        index[rank++] = gml_expr_int(kernel, GML_I64, 0);
    LLVMValueRef flat = gml_emit_expr(e, gml_index_flat(e->kernel, g->b_mem, index));
    LLVMValueRef size =
        LLVMBuildMul(e->b, gml_emit_dim(e, g->c.k->extent), gml_ll_int(e, g->nr), "");
    return gml_emit_address(e, g->b_mem,
                            LLVMBuildAdd(e->b, flat, LLVMBuildMul(e->b, panel, size, ""), ""));
}

void gml_gemm_emit(gml_emit *e, const gml_gemm *g, LLVMValueRef unit)
{
    tile t = {.e = e, .g = g, .lanes = g->nr / 2, .sums = e->room};
    LLVMValueRef panel = gml_emit_peel(e, &unit, g->panels);
    LLVMValueRef block = gml_emit_peel(e, &unit, g->blocks);
    for (unsigned i = g->c.n_batch; i-- > 0;)
        e->axis[g->c.batch[i]->number] = gml_emit_peel(e, &unit, g->c.batch[i]->extent);
    int64_t stride =
        gml_schedule_stride(e->kernel, g->a->as.load.mem, g->a->as.load.index, g->c.m);
    t.row = stride != GML_STRIDE_UNKNOWN
                ? gml_ll_int(e, stride)
                : gml_emit_dim(e, g->a->as.load.mem->dims[g->a->as.load.mem->rank - 1]);
    t.b = panel_address(e, g, panel);
    LLVMValueRef column = LLVMBuildMul(e->b, panel, gml_ll_int(e, g->nr), "");
    LLVMValueRef begin = LLVMBuildMul(e->b, block, gml_ll_int(e, g->block_tiles), "");
    LLVMValueRef end = min_of(e, LLVMBuildAdd(e->b, begin, gml_ll_int(e, g->block_tiles), ""),
                              gml_emit_dim(e, g->tiles));
    LLVMValueRef wide = gml_ll_int(e, g->wide_tiles);
    if (g->wide_tiles)
        run_tiles(&t, begin, min_of(e, end, wide), g->tile_rows + 1, gml_ll_int(e, 0), column);
    run_tiles(&t, max_of(e, begin, wide), end, g->tile_rows, wide, column);
}
