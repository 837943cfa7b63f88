/* codegen/llvm/gpu_gemm.c - matrix products of a GPU: the tiles, and how slices get there. */
#include "codegen/llvm/gpu_gemm.h"

#include "codegen/llvm/device.h"
#include "codegen/llvm/gpu_columns.h"
#include "ir/index.h"

#define GML_BLOCKS   264 /* that a device runs at once, about */
#define GML_MIN_SIDE 16

/* ---- the plan -----------------------------------------------------------------------------
 */

static int64_t extent_of(const gml_axis *axis, int64_t unknown)
{
    return gml_dim_is_const(axis->extent) ? axis->extent : unknown;
}

static int64_t stride_of(gml_kernel *kernel, const gml_expr *expr, const gml_axis *axis)
{
    const gml_expr *load = gml_schedule_first_load(expr);
    return load ? gml_schedule_stride(kernel, load->as.load.mem, load->as.load.index, axis)
                : GML_STRIDE_UNKNOWN;
}

/* Neighbours along `axis` are neighbours in memory; for tensor cores, in pieces at least. */
static bool runs_along(gml_kernel *kernel, const gml_expr *expr, const gml_axis *axis,
                       bool is_mma)
{
    return stride_of(kernel, expr, axis) == 1 ||
           (is_mma && gml_gpu_gemm_copies(kernel, expr, axis));
}

static unsigned lanes_along(const gml_axis *axis)
{
    if (!gml_dim_is_const(axis->extent))
        return 1;
    if (axis->extent % 4 == 0)
        return 4;
    return axis->extent % 2 == 0 ? 2 : 1;
}

static int64_t tiles_of(const gml_contraction *c, int64_t side)
{
    int64_t tiles = ((extent_of(c->m, 4096) + side - 1) / side) *
                    ((extent_of(c->n, 4096) + side - 1) / side);
    for (unsigned i = 0; i < c->n_batch; i++)
        tiles *= extent_of(c->batch[i], 16);
    return tiles;
}

bool gml_gpu_gemm_prepare(const gml_backend *be, gml_kernel *kernel, const gml_contraction *c,
                          gml_gpu_gemm *out)
{
    int64_t rows = extent_of(c->m, 4096);
    int64_t columns = extent_of(c->n, 4096);
    if (rows < GML_MIN_SIDE || columns < GML_MIN_SIDE)
        return false;
    *out = (gml_gpu_gemm){.c = *c, .rows = 64, .columns = 64, .depth = 16};
    out->is_mma = be->precision == GML_PRECISION_MEDIUM;
    if (rows > 64 && columns > 64 && tiles_of(c, 128) >= GML_BLOCKS / 2)
        out->rows = out->columns = 128;
    if (out->is_mma)
        out->depth = 32;
    out->a_along_k = runs_along(kernel, c->a, c->k, out->is_mma);
    out->b_along_k = runs_along(kernel, c->b, c->k, out->is_mma);
    out->a_lanes = lanes_along(out->a_along_k ? c->k : c->m);
    out->b_lanes = lanes_along(out->b_along_k ? c->k : c->n);
    out->y_lanes = lanes_along(c->n);
    for (const gml_stmt *store = c->store; store; store = store->next)
        if (gml_schedule_pred_varies(store, c->n))
            out->y_lanes = 1;
    return true;
}

/* Lines are longer than what they hold: a warp's accesses fall on different banks. */
static gml_operand shape_operand(const gml_gpu_gemm *g, unsigned extent, bool along_k)
{
    gml_operand o = {.extent = extent, .along_k = along_k};
    if (!g->is_mma) {
        o.line = extent + 4;
        o.bytes = o.line * g->depth * 4;
    } else {
        o.line = (along_k ? g->depth : extent) + 8;
        o.bytes = o.line * (along_k ? extent : g->depth) * 2;
    }
    return o;
}

unsigned gml_gpu_gemm_shared(const gml_gpu_gemm *g)
{
    unsigned slices = g->a_load ? GML_STREAM_STAGES : 2;
    return slices * (shape_operand(g, g->rows, g->a_along_k).bytes +
                     shape_operand(g, g->columns, g->b_along_k).bytes) +
           gml_tile_sums_shared(g);
}

static gml_dim count_tiles(gml_kernel *kernel, const gml_axis *axis, unsigned side)
{
    return gml_dim_ceil_div(kernel->dims, axis->extent, side);
}

gml_dim gml_gpu_gemm_units(gml_kernel *kernel, const gml_gpu_gemm *g)
{
    gml_dim units = gml_dim_mul(kernel->dims, count_tiles(kernel, g->c.m, g->rows),
                                count_tiles(kernel, g->c.n, g->columns));
    for (unsigned i = 0; i < g->c.n_batch; i++)
        units = gml_dim_mul(kernel->dims, units, g->c.batch[i]->extent);
    return units;
}

/* ---- copying slices -----------------------------------------------------------------------
 */

static LLVMValueRef smaller(gml_emit *e, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, a, b, ""), a, b, "");
}

static bool divides(const gml_axis *axis, unsigned side)
{
    return gml_dim_is_const(axis->extent) && axis->extent % side == 0;
}

/* Positions past the end are read at the last that there is, and what lies behind the end of k
 * counts as zero. */
static LLVMValueRef evaluate(gml_tile *t, const gml_operand *o, LLVMValueRef k, LLVMValueRef at)
{
    gml_emit *e = t->e;
    const gml_axis *k_axis = t->g->c.k;
    LLVMValueRef position = gml_tile_add(e, o->first, at);
    if (!divides(o->side, o->extent)) {
        LLVMValueRef end = gml_emit_dim(e, o->side->extent);
        int64_t lanes = o->along_k ? 1 : o->lanes;
        position = smaller(e, position, LLVMBuildSub(e->b, end, gml_ll_int(e, lanes), ""));
    }
    LLVMValueRef is_inside = NULL;
    if (!divides(k_axis, t->g->depth)) {
        LLVMValueRef end = gml_emit_dim(e, k_axis->extent);
        int64_t lanes = o->along_k ? o->lanes : 1;
        is_inside = LLVMBuildICmp(e->b, LLVMIntSLT, k, end, "");
        k = smaller(e, k, LLVMBuildSub(e->b, end, gml_ll_int(e, lanes), ""));
    }
    gml_scope_push(e);
    e->axis[k_axis->number] = k;
    e->axis[o->side->number] = position;
    e->vector = o->lanes > 1 ? (o->along_k ? k_axis : o->side) : NULL;
    e->lanes = o->lanes;
    LLVMValueRef value = o->lanes > 1 ? gml_emit_lanes(e, o->expr) : gml_emit_expr(e, o->expr);
    if (is_inside)
        value = LLVMBuildSelect(e->b, is_inside, value, LLVMConstNull(LLVMTypeOf(value)), "");
    e->vector = NULL;
    e->lanes = 1;
    gml_scope_pop(e);
    return value;
}

static LLVMValueRef element_at(gml_tile *t, const gml_operand *o, LLVMValueRef slice,
                               LLVMValueRef k, LLVMValueRef at)
{
    gml_emit *e = t->e;
    bool by_side = t->g->is_mma && o->along_k;
    LLVMValueRef line = by_side ? at : k;
    LLVMValueRef position = gml_tile_add(e, gml_tile_times(e, line, o->line), by_side ? k : at);
    LLVMTypeRef type = t->g->is_mma ? e->be->i16 : e->be->f32;
    return LLVMBuildInBoundsGEP2(e->b, type, slice, &position, 1, "");
}

static void keep(gml_tile *t, const gml_operand *o, LLVMValueRef slice, LLVMValueRef k,
                 LLVMValueRef at, LLVMValueRef value)
{
    gml_emit *e = t->e;
    if (t->g->is_mma || !o->along_k || o->lanes == 1) {
        gml_emit_store_at(e, t->g->is_mma ? GML_BF16 : GML_F32, element_at(t, o, slice, k, at),
                          value, o->lanes, NULL);
        return;
    }
    for (unsigned lane = 0; lane < o->lanes; lane++) {
        LLVMValueRef number = LLVMConstInt(e->be->i32, lane, 0);
        LLVMValueRef one = LLVMBuildExtractElement(e->b, value, number, "");
        LLVMValueRef deeper = gml_tile_add(e, k, gml_ll_int(e, lane));
        LLVMBuildStore(e->b, one, element_at(t, o, slice, deeper, at));
    }
}

typedef struct copy {
    LLVMValueRef k, at, value;
} copy;

#define GML_MAX_COPIES 32

static unsigned copies_of(const gml_tile *t, const gml_operand *o)
{
    return o->extent * t->g->depth / o->lanes / GML_GPU_GEMM_THREADS;
}

/* This thread's part of the slice at `k`, on its way into registers. */
static void fetch(gml_tile *t, const gml_operand *o, LLVMValueRef k, copy *copies)
{
    gml_emit *e = t->e;
    unsigned inner = (o->along_k ? t->g->depth : o->extent) / o->lanes;
    gml_team team = e->team;
    e->team.threads = 0;
    for (unsigned i = 0; i < copies_of(t, o); i++) {
        LLVMValueRef number =
            gml_tile_add(e, team.lane, gml_ll_int(e, (int64_t)i * GML_GPU_GEMM_THREADS));
        LLVMValueRef fast =
            gml_tile_times(e, LLVMBuildURem(e->b, number, gml_ll_int(e, inner), ""), o->lanes);
        LLVMValueRef slow = LLVMBuildUDiv(e->b, number, gml_ll_int(e, inner), "");
        copies[i].k = o->along_k ? fast : slow;
        copies[i].at = o->along_k ? slow : fast;
        copies[i].value = evaluate(t, o, gml_tile_add(e, k, copies[i].k), copies[i].at);
    }
    e->team = team;
}

static void keep_all(gml_tile *t, const gml_operand *o, LLVMValueRef slice, const copy *copies)
{
    for (unsigned i = 0; i < copies_of(t, o); i++)
        keep(t, o, slice, copies[i].k, copies[i].at, copies[i].value);
}

static LLVMValueRef slice_of(gml_tile *t, const gml_operand *o, LLVMValueRef parity)
{
    gml_emit *e = t->e;
    LLVMValueRef at = gml_tile_times(e, parity, o->bytes);
    return LLVMBuildInBoundsGEP2(e->b, e->be->i8, o->shared, &at, 1, "");
}

/* ---- storing ------------------------------------------------------------------------------
 */

/* `lane` is the first of them among those whose columns are summed at once. */
static void store_some(gml_tile *t, LLVMValueRef row, LLVMValueRef column, LLVMValueRef sums,
                       unsigned lanes, unsigned lane)
{
    gml_emit *e = t->e;
    const gml_contraction *c = &t->g->c;
    LLVMValueRef is_inside = NULL;
    if (!divides(c->m, t->g->rows))
        is_inside = LLVMBuildICmp(e->b, LLVMIntSLT, row, gml_emit_dim(e, c->m->extent), "");
    if (!divides(c->n, t->g->columns)) {
        LLVMValueRef fits =
            LLVMBuildICmp(e->b, LLVMIntSLT, column, gml_emit_dim(e, c->n->extent), "");
        is_inside = is_inside ? LLVMBuildAnd(e->b, is_inside, fits, "") : fits;
    }
    LLVMBasicBlockRef after = is_inside ? gml_if_begin(e, is_inside) : NULL;
    gml_scope_push(e);
    e->axis[c->m->number] = row;
    e->axis[c->n->number] = column;
    e->vector = lanes > 1 ? c->n : NULL;
    e->lanes = lanes;
    gml_emit_assume(e, c->sum, sums);
    for (const gml_stmt *store = c->store; store; store = store->next)
        if (store->as.store.mem->role == GML_MEM_SUM)
            gml_tile_sums_add(t, store, lane);
        else
            gml_emit_store(e, store);
    e->vector = NULL;
    e->lanes = 1;
    gml_scope_pop(e);
    if (after)
        gml_if_end(e, after);
}

void gml_tile_store(gml_tile *t, LLVMValueRef row, LLVMValueRef column, LLVMValueRef sums,
                    unsigned lanes)
{
    gml_emit *e = t->e;
    LLVMValueRef y = gml_tile_add(e, t->a.first, row);
    LLVMValueRef x = gml_tile_add(e, t->b.first, column);
    if (t->g->y_lanes >= lanes) {
        store_some(t, y, x, sums, lanes, 0);
        return;
    }
    for (unsigned lane = 0; lane < lanes; lane++) {
        LLVMValueRef number = LLVMConstInt(e->be->i32, lane, 0);
        store_some(t, y, gml_tile_add(e, x, gml_ll_int(e, lane)),
                   LLVMBuildExtractElement(e->b, sums, number, ""), 1, lane);
    }
}

/* ---- a tile -------------------------------------------------------------------------------
 */

static LLVMValueRef shared_from(gml_emit *e, unsigned bytes)
{
    LLVMValueRef at = gml_ll_int(e, bytes);
    return LLVMBuildInBoundsGEP2(e->b, e->be->i8, e->team.partials, &at, 1, "");
}

void gml_tile_place(gml_tile *t, LLVMValueRef unit, unsigned slices)
{
    gml_emit *e = t->e;
    const gml_gpu_gemm *g = t->g;
    const gml_contraction *c = &g->c;
    t->a = shape_operand(g, g->rows, g->a_along_k);
    t->b = shape_operand(g, g->columns, g->b_along_k);
    t->a.expr = g->a_load ? g->a_load : c->a;
    t->a.side = c->m;
    t->a.lanes = g->a_lanes;
    t->a.shared = shared_from(e, GML_PARTIALS);
    t->b.expr = g->b_load ? g->b_load : c->b;
    t->b.side = c->n;
    t->b.lanes = g->b_lanes;
    t->b.shared = shared_from(e, GML_PARTIALS + slices * t->a.bytes);
    t->sums_shared = shared_from(e, GML_PARTIALS + slices * (t->a.bytes + t->b.bytes));
    gml_tile_find(t, unit);
}

void gml_tile_find(gml_tile *t, LLVMValueRef unit)
{
    gml_emit *e = t->e;
    const gml_gpu_gemm *g = t->g;
    const gml_contraction *c = &g->c;
    /* neighbours share the rows of A, which are what streams mostly */
    t->b.first = gml_tile_times(
        e, gml_emit_peel(e, &unit, count_tiles(e->kernel, c->n, g->columns)), g->columns);
    t->a.first = gml_tile_times(
        e, gml_emit_peel(e, &unit, count_tiles(e->kernel, c->m, g->rows)), g->rows);
    for (unsigned i = c->n_batch; i-- > 0;)
        e->axis[c->batch[i]->number] =
            i == 0 ? unit : gml_emit_peel(e, &unit, c->batch[i]->extent);
}

static void multiply(gml_tile *t, LLVMValueRef a, LLVMValueRef b, unsigned begin, unsigned end,
                     LLVMValueRef *sums)
{
    (t->g->is_mma ? gml_mma_multiply : gml_fma_multiply)(t, a, b, begin, end, sums);
}

void gml_gpu_gemm_emit(gml_emit *e, const gml_gpu_gemm *g, LLVMValueRef unit)
{
    gml_tile t = {.e = e, .g = g};
    LLVMValueRef carried[GML_TILE_SUMS + 1];
    copy a[GML_MAX_COPIES], b[GML_MAX_COPIES];
    if (g->a_load) {
        gml_gpu_stream_emit(e, g, unit);
        return;
    }
    gml_tile_place(&t, unit, 2);
    (g->is_mma ? gml_mma_begin : gml_fma_begin)(&t, carried);
    carried[t.n_sums] = gml_ll_int(e, 0); /* which of the two slices */
    fetch(&t, &t.a, gml_ll_int(e, 0), a);
    fetch(&t, &t.b, gml_ll_int(e, 0), b);
    keep_all(&t, &t.a, t.a.shared, a);
    keep_all(&t, &t.b, t.b.shared, b);
    gml_dev_barrier(e);
    gml_loop loop;
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_emit_dim(e, g->c.k->extent), g->depth,
                   carried, t.n_sums + 1);
    for (unsigned i = 0; i < t.n_sums; i++)
        carried[i] = loop.phis[i];
    LLVMValueRef parity = loop.phis[t.n_sums];
    LLVMValueRef next = gml_tile_add(e, loop.counter, gml_ll_int(e, g->depth));
    if (divides(g->c.k, g->depth)) /* the last one is fetched once more, for nobody */
        next = smaller(e, next, gml_ll_int(e, g->c.k->extent - g->depth));
    LLVMValueRef a_slice = slice_of(&t, &t.a, parity);
    LLVMValueRef b_slice = slice_of(&t, &t.b, parity);
    parity = LLVMBuildXor(e->b, parity, gml_ll_int(e, 1), "");
    /* one operand after the other: what is fetched takes registers until it is kept */
    fetch(&t, &t.a, next, a);
    multiply(&t, a_slice, b_slice, 0, g->depth / 2, carried);
    keep_all(&t, &t.a, slice_of(&t, &t.a, parity), a);
    fetch(&t, &t.b, next, b);
    multiply(&t, a_slice, b_slice, g->depth / 2, g->depth, carried);
    keep_all(&t, &t.b, slice_of(&t, &t.b, parity), b);
    carried[t.n_sums] = parity;
    gml_dev_barrier(e);
    gml_loop_end(e, &loop, carried);
    gml_team team = e->team;
    e->team.threads = 0;
    (g->is_mma ? gml_mma_store : gml_fma_store)(&t, loop.phis);
    e->team = team;
}
