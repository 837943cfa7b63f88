/* codegen/llvm/gpu_gemm.c - matrix products of a GPU, in f32 on its ordinary units.
 *
 * 256 threads are a square of 16 x 16. A thread has runs of four rows and of four columns, 64
 * apart: one run each in a tile of 64, two in one of 128. So the threads of a warp read whole
 * lines of shared memory, and store whole lines of y. */
#include "codegen/llvm/gpu_gemm.h"

#include "codegen/llvm/device.h"
#include "ir/index.h"

#define GML_RUN      4  /* rows, columns */
#define GML_RUN_STEP 64 /* from run to run */
#define GML_DEPTH    16
#define GML_PAD      4 /* floats behind a line of shared memory, against bank conflicts */
#define GML_BLOCKS   264
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

bool gml_gpu_gemm_prepare(gml_kernel *kernel, const gml_contraction *c, gml_gpu_gemm *out)
{
    int64_t rows = extent_of(c->m, 4096);
    int64_t columns = extent_of(c->n, 4096);
    if (rows < GML_MIN_SIDE || columns < GML_MIN_SIDE)
        return false;
    *out = (gml_gpu_gemm){.c = *c, .rows = 64, .columns = 64, .depth = GML_DEPTH};
    if (rows > 64 && columns > 64 && tiles_of(c, 128) >= GML_BLOCKS)
        out->rows = out->columns = 128;
    out->a_along_k = stride_of(kernel, c->a, c->k) == 1;
    out->b_along_k = stride_of(kernel, c->b, c->k) == 1;
    out->a_lanes = lanes_along(out->a_along_k ? c->k : c->m);
    out->b_lanes = lanes_along(out->b_along_k ? c->k : c->n);
    out->y_lanes = lanes_along(c->n) == 4 ? 4 : 1;
    return true;
}

static unsigned line_of(unsigned side)
{
    return side + GML_PAD;
}

unsigned gml_gpu_gemm_shared(const gml_gpu_gemm *g)
{
    return (line_of(g->rows) + line_of(g->columns)) * g->depth * (unsigned)sizeof(float);
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

typedef struct tile {
    gml_emit *e;
    const gml_gpu_gemm *g;
    LLVMValueRef a, b;         /* shared memory of the slices */
    LLVMValueRef row, column;  /* the tile's first */
    LLVMValueRef y_run, x_run; /* this thread's first row and column in the tile */
} tile;

static LLVMValueRef add(gml_emit *e, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildNSWAdd(e->b, a, b, "");
}

static LLVMValueRef times(gml_emit *e, LLVMValueRef a, int64_t b)
{
    return LLVMBuildNSWMul(e->b, a, gml_ll_int(e, b), "");
}

static LLVMValueRef smaller(gml_emit *e, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, a, b, ""), a, b, "");
}

static bool divides(const gml_axis *axis, unsigned side)
{
    return gml_dim_is_const(axis->extent) && axis->extent % side == 0;
}

/* One of the two operands. */
typedef struct operand {
    const gml_expr *expr;
    const gml_axis *side; /* m or n */
    LLVMValueRef first;   /* of the tile along it */
    unsigned extent;      /* of the tile */
    bool along_k;
    unsigned lanes;
    LLVMValueRef shared;
} operand;

static LLVMValueRef shared_at(gml_emit *e, const operand *o, LLVMValueRef k, LLVMValueRef at)
{
    LLVMValueRef position = add(e, times(e, k, line_of(o->extent)), at);
    return LLVMBuildInBoundsGEP2(e->b, e->be->f32, o->shared, &position, 1, "");
}

/* Positions past the end are read at the last that there is, and what lies behind the end of k
 * counts as zero. */
static LLVMValueRef evaluate(tile *t, const operand *o, LLVMValueRef k, LLVMValueRef at)
{
    gml_emit *e = t->e;
    const gml_axis *k_axis = t->g->c.k;
    unsigned k_lanes = o->along_k ? o->lanes : 1;
    unsigned at_lanes = o->along_k ? 1 : o->lanes;
    LLVMValueRef is_inside = NULL;
    LLVMValueRef position = add(e, o->first, at);
    if (!divides(o->side, o->extent)) {
        LLVMValueRef last =
            LLVMBuildSub(e->b, gml_emit_dim(e, o->side->extent), gml_ll_int(e, at_lanes), "");
        position = smaller(e, position, last);
    }
    if (!divides(k_axis, t->g->depth)) {
        LLVMValueRef end = gml_emit_dim(e, k_axis->extent);
        is_inside = LLVMBuildICmp(e->b, LLVMIntSLT, k, end, "");
        k = smaller(e, k, LLVMBuildSub(e->b, end, gml_ll_int(e, k_lanes), ""));
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

static void keep(gml_emit *e, const operand *o, LLVMValueRef k, LLVMValueRef at,
                 LLVMValueRef value)
{
    if (o->lanes == 1 || !o->along_k) {
        LLVMValueRef store = LLVMBuildStore(e->b, value, shared_at(e, o, k, at));
        LLVMSetAlignment(store, o->lanes * (unsigned)sizeof(float));
        return;
    }
    for (unsigned lane = 0; lane < o->lanes; lane++) {
        LLVMValueRef one =
            LLVMBuildExtractElement(e->b, value, LLVMConstInt(e->be->i32, lane, 0), "");
        LLVMBuildStore(e->b, one, shared_at(e, o, add(e, k, gml_ll_int(e, lane)), at));
    }
}

/* Where in the slice this thread's copy number `i` lies. */
static void place_copy(gml_emit *e, const operand *o, unsigned depth, unsigned i,
                       LLVMValueRef *out_k, LLVMValueRef *out_at)
{
    unsigned inner = (o->along_k ? depth : o->extent) / o->lanes;
    LLVMValueRef number =
        add(e, e->team.lane, gml_ll_int(e, (int64_t)i * GML_GPU_GEMM_THREADS));
    LLVMValueRef fast =
        times(e, LLVMBuildURem(e->b, number, gml_ll_int(e, inner), ""), o->lanes);
    LLVMValueRef slow = LLVMBuildUDiv(e->b, number, gml_ll_int(e, inner), "");
    *out_k = o->along_k ? fast : slow;
    *out_at = o->along_k ? slow : fast;
}

/* All values are on their way before the first is kept. */
static void copy_slice(tile *t, const operand *o, LLVMValueRef k)
{
    gml_emit *e = t->e;
    LLVMValueRef values[16], ks[16], ats[16];
    unsigned copies = o->extent * t->g->depth / o->lanes / GML_GPU_GEMM_THREADS;
    gml_team team = e->team;
    for (unsigned i = 0; i < copies; i++) {
        place_copy(e, o, t->g->depth, i, &ks[i], &ats[i]);
        e->team.threads = 0;
        values[i] = evaluate(t, o, add(e, k, ks[i]), ats[i]);
        e->team = team;
    }
    for (unsigned i = 0; i < copies; i++)
        keep(e, o, ks[i], ats[i], values[i]);
}

/* ---- multiplying --------------------------------------------------------------------------
 */

static LLVMValueRef run_of(tile *t, LLVMValueRef slice, unsigned line, unsigned k,
                           LLVMValueRef at, unsigned run)
{
    gml_emit *e = t->e;
    LLVMValueRef position =
        add(e, at, gml_ll_int(e, (int64_t)k * line + (int64_t)run * GML_RUN_STEP));
    LLVMValueRef address = LLVMBuildInBoundsGEP2(e->b, e->be->f32, slice, &position, 1, "");
    LLVMValueRef value = LLVMBuildLoad2(e->b, LLVMVectorType(e->be->f32, GML_RUN), address, "");
    LLVMSetAlignment(value, 16);
    return value;
}

/* `sums` by row, then by run of columns. */
static void multiply(tile *t, LLVMValueRef *sums)
{
    gml_emit *e = t->e;
    unsigned row_runs = t->g->rows / GML_RUN_STEP;
    unsigned column_runs = t->g->columns / GML_RUN_STEP;
    for (unsigned k = 0; k < t->g->depth; k++) {
        LLVMValueRef b[2];
        for (unsigned h = 0; h < column_runs; h++)
            b[h] = run_of(t, t->b, line_of(t->g->columns), k, t->x_run, h);
        for (unsigned v = 0; v < row_runs; v++) {
            LLVMValueRef a = run_of(t, t->a, line_of(t->g->rows), k, t->y_run, v);
            for (unsigned r = 0; r < GML_RUN; r++) {
                LLVMValueRef one =
                    LLVMBuildExtractElement(e->b, a, LLVMConstInt(e->be->i32, r, 0), "");
                LLVMValueRef all = gml_ll_splat(e, one, GML_RUN);
                for (unsigned h = 0; h < column_runs; h++) {
                    LLVMValueRef *sum = &sums[(v * GML_RUN + r) * column_runs + h];
                    *sum = gml_ll_fma(e, all, b[h], *sum);
                }
            }
        }
    }
}

/* ---- storing ------------------------------------------------------------------------------
 */

static void store_some(tile *t, LLVMValueRef row, LLVMValueRef column, LLVMValueRef sum,
                       unsigned lanes)
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
    gml_emit_assume(e, c->sum, sum);
    for (const gml_stmt *store = c->store; store; store = store->next)
        gml_emit_store(e, store);
    e->vector = NULL;
    e->lanes = 1;
    gml_scope_pop(e);
    if (after)
        gml_if_end(e, after);
}

static void store_sums(tile *t, LLVMValueRef const *sums)
{
    gml_emit *e = t->e;
    gml_team team = e->team;
    unsigned runs = t->g->columns / GML_RUN_STEP;
    e->team.threads = 0;
    for (unsigned i = 0; i < t->g->rows / GML_RUN_STEP * GML_RUN * runs; i++) {
        unsigned row = i / runs;
        int64_t row_at = row / GML_RUN * GML_RUN_STEP + row % GML_RUN;
        LLVMValueRef y = add(e, add(e, t->row, t->y_run), gml_ll_int(e, row_at));
        LLVMValueRef x = add(e, add(e, t->column, t->x_run),
                             gml_ll_int(e, (int64_t)(i % runs) * GML_RUN_STEP));
        if (t->g->y_lanes == GML_RUN) {
            store_some(t, y, x, sums[i], GML_RUN);
            continue;
        }
        for (unsigned lane = 0; lane < GML_RUN; lane++)
            store_some(
                t, y, add(e, x, gml_ll_int(e, lane)),
                LLVMBuildExtractElement(e->b, sums[i], LLVMConstInt(e->be->i32, lane, 0), ""),
                1);
    }
    e->team = team;
}

/* ---- a tile -------------------------------------------------------------------------------
 */

static void place_tile(tile *t, LLVMValueRef unit)
{
    gml_emit *e = t->e;
    const gml_contraction *c = &t->g->c;
    /* tiles one below the other share columns of B, which are the larger part mostly */
    t->row =
        times(e, gml_emit_peel(e, &unit, count_tiles(e->kernel, c->m, t->g->rows)), t->g->rows);
    t->column = times(e, gml_emit_peel(e, &unit, count_tiles(e->kernel, c->n, t->g->columns)),
                      t->g->columns);
    for (unsigned i = c->n_batch; i-- > 0;)
        e->axis[c->batch[i]->number] =
            i == 0 ? unit : gml_emit_peel(e, &unit, c->batch[i]->extent);
}

static LLVMValueRef shared_from(gml_emit *e, unsigned bytes)
{
    LLVMValueRef at = gml_ll_int(e, bytes);
    return LLVMBuildInBoundsGEP2(e->b, e->be->i8, e->team.partials, &at, 1, "");
}

void gml_gpu_gemm_emit(gml_emit *e, const gml_gpu_gemm *g, LLVMValueRef unit)
{
    tile t = {.e = e, .g = g};
    LLVMValueRef sums[32];
    unsigned n_sums = g->rows / GML_RUN_STEP * GML_RUN * (g->columns / GML_RUN_STEP);
    unsigned a_bytes = line_of(g->rows) * g->depth * (unsigned)sizeof(float);
    place_tile(&t, unit);
    t.a = shared_from(e, 256);
    t.b = shared_from(e, 256 + a_bytes);
    t.y_run = times(e, LLVMBuildLShr(e->b, e->team.lane, gml_ll_int(e, 4), ""), GML_RUN);
    t.x_run = times(e, LLVMBuildAnd(e->b, e->team.lane, gml_ll_int(e, 15), ""), GML_RUN);
    operand a = {g->c.a, g->c.m, t.row, g->rows, g->a_along_k, g->a_lanes, t.a};
    operand b = {g->c.b, g->c.n, t.column, g->columns, g->b_along_k, g->b_lanes, t.b};
    for (unsigned i = 0; i < n_sums; i++)
        sums[i] = LLVMConstNull(LLVMVectorType(e->be->f32, GML_RUN));
    gml_loop loop;
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_emit_dim(e, g->c.k->extent), g->depth, sums,
                   n_sums);
    for (unsigned i = 0; i < n_sums; i++)
        sums[i] = loop.phis[i];
    copy_slice(&t, &a, loop.counter);
    copy_slice(&t, &b, loop.counter);
    gml_dev_barrier(e);
    multiply(&t, sums);
    gml_dev_barrier(e);
    gml_loop_end(e, &loop, sums);
    store_sums(&t, loop.phis);
}
