/* codegen/llvm/gpu_wgmma.c - a streamed tile on sm_90a: bulk copies, mbarriers, wgmma.
 *
 * Two warpgroups share a tile of 128 rows, 64 each, and all of its columns. Slices of 64 along
 * k, a swizzled line of 128 bytes, lie in four stages of shared memory, or, with 128 columns,
 * in three, so that a processor has room for two blocks:
 *
 *     full[stage]   a phase is a slice that has arrived; one thread expects its bytes
 *     empty[stage]  a phase is a slice that was multiplied; each of the eight warps arrives
 *
 * The block's slices, of one tile after the other, are counted through: of four stages slice s
 * lies in s % 4, and is the (s / 4)th there, which gives the parities. Thread 0 issues the
 * copies of slice s + 3 when all warps are done with s - 1, while the tensor cores have s. That
 * is a wait for the warps of one thread, where a barrier of the block would hold up all of them
 * until the slowest has come.
 *
 * In a stage an operand lies as boxes of 64 elements in its direction in memory: along k, one
 * box of all rows (or columns); along m or n, a box of 64 k for every 64. What lies behind the
 * edges arrives as zeros, so that every slice has the same bytes. */
#include "codegen/llvm/device.h"
#include "codegen/llvm/gpu_columns.h"

#define GML_MOST_STAGES 4
#define GML_SLICE       GML_BOX_LINE /* along k */
#define GML_LINE        128          /* bytes of a box's line */
#define GML_HEAD        1024         /* bytes of shared memory before the stages: mbarriers */
#define GML_ROWS        128
#define GML_DEPTH       16 /* of one wgmma */
#define GML_WARPS       (GML_GPU_GEMM_THREADS / 32)
#define GML_BUSY        132 /* tiles that keep the processors of a device busy */

/* ---- the plan -----------------------------------------------------------------------------
 */

static int64_t count(const gml_axis *axis, int64_t unknown, int64_t side)
{
    int64_t extent = gml_dim_is_const(axis->extent) ? axis->extent : unknown;
    return (extent + side - 1) / side;
}

/* Tiles of 128 x 256 need less of shared memory's bandwidth; they are for products that have
 * enough of them, and no more columns beyond the edge than with 128. */
static unsigned choose_columns(const gml_contraction *c)
{
    int64_t columns = count(c->n, 4096, 128);
    int64_t tiles = count(c->m, 4096, GML_ROWS) * (columns / 2);
    for (unsigned i = 0; i < c->n_batch; i++)
        tiles *= count(c->batch[i], 16, 1);
    return columns % 2 == 0 && tiles >= GML_BUSY ? 256 : 128;
}

void gml_gpu_wgmma_choose(const gml_backend *be, gml_kernel *kernel, gml_gpu_gemm *g)
{
    const gml_contraction *c = &g->c;
    unsigned columns = choose_columns(c);
    if (!be->has_wgmma || kernel->in_parts ||
        !gml_gpu_box_find(kernel, g->a_load, g->a_along_k ? c->k : c->m,
                          g->a_along_k ? c->m : c->k, g->a_along_k ? GML_ROWS : GML_SLICE,
                          &g->boxes[0]) ||
        !gml_gpu_box_find(kernel, g->b_load, g->b_along_k ? c->k : c->n,
                          g->b_along_k ? c->n : c->k, g->b_along_k ? columns : GML_SLICE,
                          &g->boxes[1]))
        return;
    g->is_wgmma = true;
    g->rows = GML_ROWS;
    g->columns = columns;
    g->depth = GML_SLICE;
}

static unsigned stage_bytes(const gml_gpu_gemm *g)
{
    return (g->rows + g->columns) * GML_LINE;
}

static unsigned stages_of(const gml_gpu_gemm *g)
{
    return g->columns > 128 ? GML_MOST_STAGES : GML_MOST_STAGES - 1;
}

/* Along k, of the copies. */
static int64_t ahead_of(const gml_gpu_gemm *g)
{
    return (int64_t)(stages_of(g) - 1) * GML_SLICE;
}

unsigned gml_gpu_wgmma_shared(const gml_gpu_gemm *g)
{
    return GML_HEAD + stages_of(g) * stage_bytes(g) + gml_tile_sums_shared(g);
}

/* ---- a tile -------------------------------------------------------------------------------
 */

static LLVMValueRef shared_at(gml_tile *t, LLVMValueRef offset)
{
    gml_emit *e = t->e;
    return LLVMBuildInBoundsGEP2(e->b, e->be->i8, e->team.partials, &offset, 1, "");
}

static LLVMValueRef bits_of(gml_emit *e, LLVMValueRef value, unsigned shift, int64_t mask)
{
    value = LLVMBuildLShr(e->b, value, gml_ll_int(e, shift), "");
    return LLVMBuildAnd(e->b, value, gml_ll_int(e, mask), "");
}

static LLVMValueRef stage_of(gml_tile *t, LLVMValueRef slice)
{
    return LLVMBuildURem(t->e->b, slice, gml_ll_int(t->e, stages_of(t->g)), "");
}

/* i32: of the phase that `slice` is of its stage's mbarriers. */
static LLVMValueRef parity_of(gml_tile *t, LLVMValueRef slice)
{
    gml_emit *e = t->e;
    LLVMValueRef turn = LLVMBuildUDiv(e->b, slice, gml_ll_int(e, stages_of(t->g)), "");
    return LLVMBuildTrunc(e->b, bits_of(e, turn, 0, 1), e->be->i32, "");
}

static LLVMValueRef full_of(gml_tile *t, LLVMValueRef slice)
{
    return shared_at(t, gml_tile_times(t->e, stage_of(t, slice), 8));
}

static LLVMValueRef empty_of(gml_tile *t, LLVMValueRef slice)
{
    LLVMValueRef at = gml_tile_times(t->e, stage_of(t, slice), 8);
    return shared_at(t, gml_tile_add(t->e, at, gml_ll_int(t->e, INT64_C(8) * GML_MOST_STAGES)));
}

/* Byte `offset` of the stage. */
static LLVMValueRef place_in(gml_tile *t, LLVMValueRef slice, LLVMValueRef offset)
{
    gml_emit *e = t->e;
    LLVMValueRef at = gml_tile_times(e, stage_of(t, slice), stage_bytes(t->g));
    at = gml_tile_add(e, at, gml_ll_int(e, GML_HEAD));
    return shared_at(t, gml_tile_add(e, at, offset));
}

static LLVMValueRef is_thread(gml_emit *e, int64_t mask)
{
    return LLVMBuildICmp(e->b, LLVMIntEQ, bits_of(e, e->team.lane, 0, mask), gml_ll_int(e, 0),
                         "");
}

/* One operand's boxes of the slice, `offset` bytes into its stage. */
static void copy_operand(gml_tile *t, gml_gpu_pipe *pipe, unsigned number, LLVMValueRef slice,
                         LLVMValueRef k)
{
    gml_emit *e = t->e;
    const gml_contraction *c = &t->g->c;
    const gml_gpu_box *box = &t->g->boxes[number];
    const gml_operand *o = number ? &t->b : &t->a;
    unsigned offset = number ? t->g->rows * GML_LINE : 0;
    unsigned extent = number ? t->g->columns : t->g->rows;
    bool along_k = number ? t->g->b_along_k : t->g->a_along_k;
    for (unsigned i = 0; i < (along_k ? 1 : extent / GML_SLICE); i++) {
        LLVMValueRef at[GML_MAP_RANK];
        LLVMValueRef to =
            place_in(t, slice, gml_ll_int(e, offset + (int64_t)i * GML_SLICE * GML_LINE));
        gml_scope_push(e);
        e->axis[c->k->number] = k;
        e->axis[(number ? c->n : c->m)->number] =
            gml_tile_add(e, o->first, gml_ll_int(e, (int64_t)i * GML_SLICE));
        for (uint32_t d = 0; d < box->map.rank; d++)
            at[d] = LLVMBuildTrunc(e->b, gml_emit_expr(e, box->at[d]), e->be->i32, "");
        gml_dev_copy_box(e, to, pipe->maps[number], at, box->map.rank, full_of(t, slice));
        gml_scope_pop(e);
    }
}

/* By one thread: slice number `slice` of the block, which is at `k` of this tile. */
static void fill(gml_tile *t, gml_gpu_pipe *pipe, LLVMValueRef slice, LLVMValueRef k)
{
    gml_emit *e = t->e;
    LLVMValueRef before =
        LLVMBuildXor(e->b, parity_of(t, slice), LLVMConstInt(e->be->i32, 1, 0), "");
    gml_dev_mbarrier_wait(e, empty_of(t, slice), before);
    gml_dev_mbarrier_expect(e, full_of(t, slice), stage_bytes(t->g));
    copy_operand(t, pipe, 0, slice, k);
    copy_operand(t, pipe, 1, slice, k);
}

/* The tile's first slices, as many as fit beside the one that is multiplied. */
static void fill_first(gml_tile *t, gml_gpu_pipe *pipe, LLVMValueRef slice)
{
    gml_emit *e = t->e;
    gml_loop loop;
    LLVMValueRef most = gml_ll_int(e, ahead_of(t->g));
    LLVMValueRef end = gml_emit_dim(e, t->g->c.k->extent);
    end = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, end, most, ""), end, most, "");
    LLVMBasicBlockRef after = gml_if_begin(e, is_thread(e, GML_GPU_GEMM_THREADS - 1));
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), end, GML_SLICE, &slice, 1);
    fill(t, pipe, loop.phis[0], loop.counter);
    slice = gml_tile_add(e, loop.phis[0], gml_ll_int(e, 1));
    gml_loop_end(e, &loop, &slice);
    gml_if_end(e, after);
}

static void fill_next(gml_tile *t, gml_gpu_pipe *pipe, LLVMValueRef slice, LLVMValueRef k)
{
    gml_emit *e = t->e;
    LLVMValueRef next = gml_tile_add(e, k, gml_ll_int(e, ahead_of(t->g)));
    LLVMValueRef is_there =
        LLVMBuildICmp(e->b, LLVMIntSLT, next, gml_emit_dim(e, t->g->c.k->extent), "");
    is_there = LLVMBuildAnd(e->b, is_there, is_thread(e, GML_GPU_GEMM_THREADS - 1), "");
    LLVMBasicBlockRef after = gml_if_begin(e, is_there);
    fill(t, pipe, gml_tile_add(e, slice, gml_ll_int(e, stages_of(t->g) - 1)), next);
    gml_if_end(e, after);
}

/* The warp is done with `slice`, if there is one. */
static void give_back(gml_tile *t, LLVMValueRef slice, LLVMValueRef is_one)
{
    gml_emit *e = t->e;
    LLVMBasicBlockRef after = gml_if_begin(e, LLVMBuildAnd(e->b, is_one, is_thread(e, 31), ""));
    gml_dev_mbarrier_arrive(e, empty_of(t, slice));
    gml_if_end(e, after);
}

/* A group of four: lines along k go on in their 128 bytes, others 16 lines further. */
static void multiply(gml_tile *t, LLVMValueRef slice, LLVMValueRef *sums)
{
    gml_emit *e = t->e;
    const gml_gpu_gemm *g = t->g;
    const gml_dev_product form = {
        .n = g->columns, .a_is_mn = !g->a_along_k, .b_is_mn = !g->b_along_k};
    LLVMValueRef group = bits_of(e, e->team.lane, 7, 1);
    LLVMValueRef rows = place_in(t, slice, gml_tile_times(e, group, INT64_C(64) * GML_LINE));
    LLVMValueRef columns = place_in(t, slice, gml_ll_int(e, (int64_t)g->rows * GML_LINE));
    LLVMValueRef a = gml_dev_matrix(e, rows, 0, 8 * GML_LINE);
    LLVMValueRef b =
        gml_dev_matrix(e, columns, form.b_is_mn ? GML_SLICE * GML_LINE : 0, 8 * GML_LINE);
    gml_dev_wgmma_fence(e);
    for (unsigned k = 0; k < GML_SLICE; k += GML_DEPTH)
        gml_dev_wgmma(e, &form, gml_dev_matrix_after(e, a, k * (form.a_is_mn ? GML_LINE : 2)),
                      gml_dev_matrix_after(e, b, k * (form.b_is_mn ? GML_LINE : 2)), sums);
    gml_dev_wgmma_commit(e);
}

/* Column by column, for the sums of columns; a warp has 16 rows. */
static void store(gml_tile *t, LLVMValueRef const *sums)
{
    gml_emit *e = t->e;
    LLVMValueRef warp = bits_of(e, e->team.lane, 5, GML_WARPS - 1);
    LLVMValueRef y = gml_tile_times(e, warp, 16);
    y = gml_tile_add(e, y, bits_of(e, e->team.lane, 2, 7));
    LLVMValueRef x = gml_tile_times(e, bits_of(e, e->team.lane, 0, 3), 2);
    for (unsigned j = 0; j < t->g->columns / 8; j++) {
        LLVMValueRef column = gml_tile_add(e, x, gml_ll_int(e, (int64_t)j * 8));
        gml_tile_sums_begin(t, 2);
        for (unsigned h = 0; h < 2; h++) {
            LLVMValueRef const *two = &sums[4 * j + 2 * h];
            gml_tile_store(t, gml_tile_add(e, y, gml_ll_int(e, (int64_t)h * 8)), column,
                           gml_tile_pair(e, two[0], two[1]), 2);
        }
        gml_tile_sums_end(t, column, 7 << 2, warp);
    }
    gml_tile_sums_store(t, GML_WARPS);
    if (t->g->columns_of) /* the next tile's sums go there, and it has no barrier before */
        gml_dev_barrier(e);
}

void gml_gpu_wgmma_begin(gml_emit *e, const gml_gpu_gemm *g, gml_gpu_pipe *pipe)
{
    gml_tile t = {.e = e, .g = g};
    pipe->slices = LLVMBuildAlloca(e->b, e->be->i64, "");
    LLVMBuildStore(e->b, gml_ll_int(e, 0), pipe->slices);
    LLVMBasicBlockRef after = gml_if_begin(e, is_thread(e, GML_GPU_GEMM_THREADS - 1));
    for (unsigned s = 0; s < stages_of(g); s++) {
        gml_dev_mbarrier_init(e, full_of(&t, gml_ll_int(e, s)), 1);
        gml_dev_mbarrier_init(e, empty_of(&t, gml_ll_int(e, s)), GML_WARPS);
    }
    gml_dev_mbarrier_fence(e);
    gml_if_end(e, after);
    gml_dev_barrier(e);
}

void gml_gpu_wgmma_emit(gml_emit *e, const gml_gpu_gemm *g, gml_gpu_pipe *pipe,
                        LLVMValueRef unit)
{
    gml_tile t = {.e = e, .g = g, .n_sums = g->columns / 2};
    LLVMValueRef carried[GML_WGMMA_SUMS + 1]; /* sums, and the number of the slice */
    LLVMValueRef first = LLVMBuildLoad2(e->b, e->be->i64, pipe->slices, "");
    LLVMValueRef extent = gml_emit_dim(e, g->c.k->extent);
    gml_loop loop;
    t.sums_shared =
        shared_at(&t, gml_ll_int(e, GML_HEAD + (int64_t)stages_of(g) * stage_bytes(g)));
    gml_tile_find(&t, unit);
    fill_first(&t, pipe, first);
    for (unsigned i = 0; i < t.n_sums; i++)
        carried[i] = LLVMConstReal(e->be->f32, 0);
    carried[t.n_sums] = first;
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), extent, GML_SLICE, carried, t.n_sums + 1);
    for (unsigned i = 0; i <= t.n_sums; i++)
        carried[i] = loop.phis[i];
    LLVMValueRef slice = carried[t.n_sums];
    LLVMValueRef before = LLVMBuildSub(e->b, slice, gml_ll_int(e, 1), "");
    gml_dev_mbarrier_wait(e, full_of(&t, slice), parity_of(&t, slice));
    multiply(&t, slice, carried);
    gml_dev_wgmma_wait(e, 1, carried, t.n_sums); /* for those of the slice before */
    give_back(&t, before, LLVMBuildICmp(e->b, LLVMIntSGT, loop.counter, gml_ll_int(e, 0), ""));
    fill_next(&t, pipe, slice, loop.counter);
    carried[t.n_sums] = gml_tile_add(e, slice, gml_ll_int(e, 1));
    gml_loop_end(e, &loop, carried);
    for (unsigned i = 0; i <= t.n_sums; i++)
        carried[i] = loop.phis[i];
    slice = carried[t.n_sums];
    gml_dev_wgmma_wait(e, 0, carried, t.n_sums);
    give_back(&t, LLVMBuildSub(e->b, slice, gml_ll_int(e, 1), ""),
              LLVMBuildICmp(e->b, LLVMIntSGT, extent, gml_ll_int(e, 0), ""));
    LLVMBuildStore(e->b, slice, pipe->slices);
    gml_team team = e->team;
    e->team.threads = 0;
    store(&t, carried);
    e->team = team;
}
