/* codegen/llvm/gpu_stream.c - a tile on tensor cores whose operands lie in memory as bf16.
 *
 * Nothing is evaluated on the way: pieces of 16 bytes go from memory to shared memory by
 * asynchronous copies, several slices ahead, and take no registers. An operand that is not in
 * memory so (f32, or computed) is written so first, once, by a statement before the product. */
#include "codegen/llvm/device.h"
#include "codegen/llvm/gpu_gemm.h"
#include "ir/index.h"

#define GML_PIECE 8 /* elements of a copy */

/* ---- operands in memory -------------------------------------------------------------------
 */

/* `atom` is `op` of the axis and a multiple of a piece: pieces of a line that is cut, as heads
 * cut that of a token. */
static bool is_cut(const gml_expr *atom, gml_scalar_op op, const gml_axis *axis)
{
    if (atom->kind != GML_EXPR_SCALAR || atom->as.scalar.op != op)
        return false;
    const gml_expr *at = atom->as.scalar.args[0];
    const gml_expr *size = atom->as.scalar.args[1];
    return at->kind == GML_EXPR_AXIS && at->as.axis == axis && size->kind == GML_EXPR_CONST &&
           size->as.cst.i % GML_PIECE == 0;
}

/* The load under a widening of bf16, where neighbours along `axis` can be copied as they are.
 */
static const gml_expr *find_load(gml_kernel *kernel, const gml_expr *expr, const gml_axis *axis)
{
    gml_linear sum;
    if (expr->kind == GML_EXPR_SCALAR && expr->as.scalar.op == GML_X_CAST)
        expr = expr->as.scalar.args[0];
    if (expr->kind != GML_EXPR_LOAD || expr->as.load.pred ||
        expr->as.load.mem->dtype != GML_BF16 || !gml_dim_is_const(axis->extent) ||
        axis->extent % GML_PIECE != 0 ||
        !gml_index_linear(gml_index_flat(kernel, expr->as.load.mem, expr->as.load.index), &sum))
        return NULL;
    bool moves = false;
    for (unsigned i = 0; i < sum.n_terms; i++) {
        const gml_expr *atom = sum.terms[i].atom;
        bool is_axis = (atom->kind == GML_EXPR_AXIS && atom->as.axis == axis) ||
                       is_cut(atom, GML_X_FLOORMOD, axis);
        if (!is_axis && (atom->free >> axis->number & 1) && !is_cut(atom, GML_X_FLOORDIV, axis))
            return NULL;
        if (is_axis ? sum.terms[i].coefficient != 1 : sum.terms[i].coefficient % GML_PIECE != 0)
            return NULL;
        moves = moves || is_axis;
    }
    return moves && sum.constant % GML_PIECE == 0 ? expr : NULL;
}

bool gml_gpu_gemm_copies(gml_kernel *kernel, const gml_expr *expr, const gml_axis *axis)
{
    return find_load(kernel, expr, axis) != NULL;
}

/* for batch, line, at: pack[batch, line, at] = bf16(expr), with zeros behind the end of `at`.
 * Returns the load that reads it at the product's own axes. */
static const gml_expr *pack(gml_kernel *kernel, const gml_contraction *c, const gml_expr *expr,
                            uint64_t batch, const gml_axis *line, const gml_axis *at,
                            gml_stmt **out_stmt)
{
    const gml_axis *loops[GML_MAX_RANK];
    gml_dim dims[GML_MAX_RANK];
    const gml_expr *index[GML_MAX_RANK], *again[GML_MAX_RANK];
    int rank = 0;
    for (unsigned i = 0; i < c->n_batch; i++)
        if (batch >> c->batch[i]->number & 1)
            loops[rank++] = c->batch[i];
    loops[rank++] = line;
    int64_t extent = at->extent;
    int64_t padded = (extent + GML_PIECE - 1) / GML_PIECE * GML_PIECE;
    loops[rank++] = padded == extent ? at : gml_kernel_add_axis(kernel, padded);
    for (int d = 0; d < rank; d++) {
        dims[d] = loops[d]->extent;
        index[d] = gml_expr_axis(kernel, loops[d]);
        again[d] = d == rank - 1 ? gml_expr_axis(kernel, at) : index[d];
    }
    const gml_expr *value = expr;
    if (padded != extent) {
        const gml_expr *here = index[rank - 1];
        const gml_expr *last =
            gml_index_op(kernel, GML_X_MIN, here, gml_expr_int(kernel, GML_I64, extent - 1));
        const gml_expr *bounds[3] = {here, gml_expr_int(kernel, GML_I64, extent), NULL};
        const gml_expr *choice[3] = {gml_expr_scalar(kernel, GML_X_LT, GML_BOOL, 0, bounds),
                                     gml_expr_substitute(kernel, expr, &at, &last, 1),
                                     gml_expr_float(kernel, GML_F32, 0)};
        value = gml_expr_scalar(kernel, GML_X_SELECT, GML_F32, 0, choice);
    }
    const gml_expr *args[3] = {value, NULL, NULL};
    gml_mem *mem = gml_kernel_add_mem(kernel, GML_MEM_LOCAL, "operand", GML_BF16, rank, dims);
    gml_stmt *stmt = gml_stmt_store(kernel, mem, index,
                                    gml_expr_scalar(kernel, GML_X_CAST, GML_BF16, 0, args));
    for (int d = rank; d-- > 0;)
        stmt = gml_stmt_for(kernel, loops[d], stmt);
    *out_stmt = stmt;
    return gml_expr_load(kernel, mem, again, NULL);
}

bool gml_gpu_gemm_stream(gml_kernel *kernel, gml_gpu_gemm *g)
{
    const gml_contraction *c = &g->c;
    const gml_axis *a_at = g->a_along_k ? c->k : c->m;
    const gml_axis *b_at = g->b_along_k ? c->k : c->n;
    if (!g->is_mma || g->rows != 128 || !gml_dim_is_const(a_at->extent) ||
        !gml_dim_is_const(b_at->extent) || c->n_batch + 2 > GML_MAX_RANK ||
        !gml_kernel_has_axes(kernel, 2))
        return false;
    g->a_load = find_load(kernel, c->a, a_at);
    g->b_load = find_load(kernel, c->b, b_at);
    if (!g->a_load)
        g->a_load =
            pack(kernel, c, c->a, c->a_batch, g->a_along_k ? c->m : c->k, a_at, &g->pack_a);
    if (!g->b_load)
        g->b_load =
            pack(kernel, c, c->b, c->b_batch, g->b_along_k ? c->n : c->k, b_at, &g->pack_b);
    return true;
}

/* ---- a tile -------------------------------------------------------------------------------
 */

static LLVMValueRef is_below(gml_emit *e, LLVMValueRef at, gml_dim extent)
{
    return LLVMBuildICmp(e->b, LLVMIntSLT, at, gml_emit_dim(e, extent), "");
}

/* Starts the copy of one piece of the slice at `k`. */
static void copy_piece(gml_tile *t, const gml_operand *o, LLVMValueRef slice, LLVMValueRef k,
                       unsigned number)
{
    gml_emit *e = t->e;
    const gml_axis *k_axis = t->g->c.k;
    const gml_mem *mem = o->expr->as.load.mem;
    unsigned pieces = (o->along_k ? t->g->depth : o->extent) / GML_PIECE;
    LLVMValueRef line =
        gml_tile_add(e, e->team.lane, gml_ll_int(e, (int64_t)number * GML_GPU_GEMM_THREADS));
    LLVMValueRef at = gml_tile_times(e, gml_emit_peel(e, &line, pieces), GML_PIECE);
    LLVMValueRef to = gml_tile_add(e, gml_tile_times(e, line, o->line), at);
    LLVMValueRef side = gml_tile_add(e, o->first, o->along_k ? line : at);
    LLVMValueRef deep = gml_tile_add(e, k, o->along_k ? at : line);
    LLVMValueRef is_there = LLVMBuildAnd(e->b, is_below(e, side, o->side->extent),
                                         is_below(e, deep, k_axis->extent), "");
    LLVMValueRef zero = gml_ll_int(e, 0);
    gml_scope_push(e);
    e->axis[k_axis->number] = deep;
    e->axis[o->side->number] = side;
    LLVMValueRef from =
        gml_emit_expr(e, gml_index_flat(e->kernel, mem, o->expr->as.load.index));
    from = LLVMBuildSelect(e->b, is_there, from, zero, "");
    gml_dev_copy_async(e, LLVMBuildInBoundsGEP2(e->b, e->be->i16, slice, &to, 1, ""),
                       gml_emit_address(e, mem, from), is_there);
    gml_scope_pop(e);
}

static LLVMValueRef slice_at(gml_tile *t, const gml_operand *o, LLVMValueRef stage)
{
    gml_emit *e = t->e;
    LLVMValueRef at = gml_tile_times(e, stage, o->bytes);
    return LLVMBuildInBoundsGEP2(e->b, e->be->i8, o->shared, &at, 1, "");
}

static void copy_slices(gml_tile *t, LLVMValueRef stage, LLVMValueRef k)
{
    gml_emit *e = t->e;
    const gml_operand *both[2] = {&t->a, &t->b};
    for (unsigned i = 0; i < 2; i++) {
        LLVMValueRef slice = slice_at(t, both[i], stage);
        unsigned n = both[i]->extent * t->g->depth / GML_PIECE / GML_GPU_GEMM_THREADS;
        for (unsigned p = 0; p < n; p++)
            copy_piece(t, both[i], slice, k, p);
    }
    gml_dev_copy_commit(e);
}

static LLVMValueRef stage_after(gml_emit *e, LLVMValueRef stage)
{
    LLVMValueRef next = gml_tile_add(e, stage, gml_ll_int(e, 1));
    LLVMValueRef is_last =
        LLVMBuildICmp(e->b, LLVMIntEQ, next, gml_ll_int(e, GML_STREAM_STAGES), "");
    return LLVMBuildSelect(e->b, is_last, gml_ll_int(e, 0), next, "");
}

void gml_gpu_stream_emit(gml_emit *e, const gml_gpu_gemm *g, LLVMValueRef unit)
{
    gml_tile t = {.e = e, .g = g};
    LLVMValueRef carried[GML_TILE_SUMS + 2];
    int64_t depth = g->depth;
    gml_tile_place(&t, unit, GML_STREAM_STAGES);
    gml_mma_begin(&t, carried);
    for (int64_t s = 0; s < GML_STREAM_STAGES - 1; s++)
        copy_slices(&t, gml_ll_int(e, s), gml_ll_int(e, s * depth));
    carried[t.n_sums] = gml_ll_int(e, 0);                         /* to be multiplied */
    carried[t.n_sums + 1] = gml_ll_int(e, GML_STREAM_STAGES - 1); /* to be filled */
    gml_loop loop;
    gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_emit_dim(e, g->c.k->extent), depth, carried,
                   t.n_sums + 2);
    for (unsigned i = 0; i < t.n_sums + 2; i++)
        carried[i] = loop.phis[i];
    /* the slice is here, of all threads, and nobody reads the one that is filled now */
    gml_dev_copy_wait(e, GML_STREAM_STAGES - 2);
    gml_dev_barrier(e);
    copy_slices(&t, carried[t.n_sums + 1],
                gml_tile_add(e, loop.counter, gml_ll_int(e, (GML_STREAM_STAGES - 1) * depth)));
    gml_mma_multiply(&t, slice_at(&t, &t.a, carried[t.n_sums]),
                     slice_at(&t, &t.b, carried[t.n_sums]), 0, g->depth, carried);
    carried[t.n_sums] = stage_after(e, carried[t.n_sums]);
    carried[t.n_sums + 1] = stage_after(e, carried[t.n_sums + 1]);
    gml_loop_end(e, &loop, carried);
    gml_dev_copy_wait(e, 0);
    gml_dev_barrier(e); /* the next tile writes there */
    gml_team team = e->team;
    e->team.threads = 0;
    gml_mma_store(&t, loop.phis);
    e->team = team;
}
