/* codegen/llvm/gpu_mma.c - a tile's products on tensor cores: bf16, summed in f32.
 *
 * Eight warps share a tile, two down and four across; a warp's part is made of products of
 * 16 x 8 x 16 (mma.sync.m16n8k16), whose operands ldmatrix brings out of shared memory in the
 * order that the tensor cores want. Sums are f32, four a product: two neighbours of a row, and
 * the two eight rows below. */
#include "codegen/llvm/device.h"
#include "codegen/llvm/gpu_columns.h"
#include "codegen/llvm/gpu_gemm.h"

#define GML_DOWN   2 /* warps */
#define GML_ACROSS 4
#define GML_M      16 /* of a product */
#define GML_N      8
#define GML_K      16

static unsigned down_of(const gml_tile *t)
{
    return t->g->rows / GML_DOWN / GML_M;
}

static unsigned across_of(const gml_tile *t)
{
    return t->g->columns / GML_ACROSS / GML_N;
}

static LLVMValueRef lane_bits(gml_tile *t, unsigned shift, int64_t mask)
{
    gml_emit *e = t->e;
    LLVMValueRef at = LLVMBuildLShr(e->b, t->e->team.lane, gml_ll_int(e, shift), "");
    return LLVMBuildAnd(e->b, at, gml_ll_int(e, mask), "");
}

/* The first row and column of the warp's part. */
void gml_mma_begin(gml_tile *t, LLVMValueRef *out_sums)
{
    gml_emit *e = t->e;
    t->y = gml_tile_times(e, lane_bits(t, 5, GML_DOWN - 1), t->g->rows / GML_DOWN);
    t->x = gml_tile_times(e, lane_bits(t, 6, GML_ACROSS - 1), t->g->columns / GML_ACROSS);
    t->n_sums = down_of(t) * across_of(t) * 4;
    for (unsigned i = 0; i < t->n_sums; i++)
        out_sums[i] = LLVMConstReal(e->be->f32, 0);
}

/* Four matrices of 8 x 8: `pairs_down` says which of the four lie beside each other in k, those
 * of A (1, 2 apart) or of B (2, 1 apart). Each lane names a row of one of them. */
static void load_four(gml_tile *t, const gml_operand *o, LLVMValueRef slice, LLVMValueRef side,
                      unsigned k, bool is_a, LLVMValueRef *out)
{
    gml_emit *e = t->e;
    LLVMValueRef row = lane_bits(t, 0, 7);
    LLVMValueRef first = gml_tile_times(e, lane_bits(t, 3, 1), 8);
    LLVMValueRef second = gml_tile_times(e, lane_bits(t, 4, 1), 8);
    LLVMValueRef at_side = is_a ? first : second;
    LLVMValueRef at_k = is_a ? second : first;
    if (o->along_k)
        at_side = gml_tile_add(e, at_side, row);
    else
        at_k = gml_tile_add(e, at_k, row);
    at_side = gml_tile_add(e, at_side, side);
    at_k = gml_tile_add(e, at_k, gml_ll_int(e, k));
    LLVMValueRef position =
        gml_tile_add(e, gml_tile_times(e, o->along_k ? at_side : at_k, o->line),
                     o->along_k ? at_k : at_side);
    gml_dev_load_matrix(e, LLVMBuildInBoundsGEP2(e->b, e->be->i16, slice, &position, 1, ""),
                        !o->along_k, out);
}

void gml_mma_multiply(gml_tile *t, LLVMValueRef a, LLVMValueRef b, unsigned begin, unsigned end,
                      LLVMValueRef *sums)
{
    gml_emit *e = t->e;
    for (unsigned k = begin; k < end; k += GML_K) {
        LLVMValueRef rows[4][4], columns[4][2];
        for (unsigned i = 0; i < down_of(t); i++)
            load_four(t, &t->a, a, gml_tile_add(e, t->y, gml_ll_int(e, (int64_t)i * GML_M)), k,
                      true, rows[i]);
        for (unsigned j = 0; j < across_of(t); j += 2) {
            LLVMValueRef four[4];
            load_four(t, &t->b, b, gml_tile_add(e, t->x, gml_ll_int(e, (int64_t)j * GML_N)), k,
                      false, four);
            for (unsigned h = 0; h < 4; h++)
                columns[j + h / 2][h % 2] = four[h];
        }
        for (unsigned i = 0; i < down_of(t); i++)
            for (unsigned j = 0; j < across_of(t); j++) {
                LLVMValueRef *sum = &sums[(i * across_of(t) + j) * 4];
                gml_dev_mma_bf16(e, rows[i], columns[j], sum, sum);
            }
    }
}

/* Column by column, for the sums of columns. */
void gml_mma_store(gml_tile *t, LLVMValueRef const *sums)
{
    gml_emit *e = t->e;
    LLVMValueRef y = gml_tile_add(e, t->y, lane_bits(t, 2, 7));
    LLVMValueRef x = gml_tile_add(e, t->x, gml_tile_times(e, lane_bits(t, 0, 3), 2));
    for (unsigned j = 0; j < across_of(t); j++) {
        LLVMValueRef column = gml_tile_add(e, x, gml_ll_int(e, (int64_t)j * GML_N));
        gml_tile_sums_begin(t, 2);
        for (unsigned i = 0; i < 2 * down_of(t); i++) {
            LLVMValueRef const *two = &sums[((i / 2) * across_of(t) + j) * 4 + (i % 2) * 2];
            LLVMValueRef row = gml_tile_add(e, y, gml_ll_int(e, (int64_t)i * GML_M / 2));
            gml_tile_store(t, row, column, gml_tile_pair(e, two[0], two[1]), 2);
        }
        gml_tile_sums_end(t, column, 7 << 2, lane_bits(t, 5, GML_DOWN - 1));
    }
    gml_tile_sums_store(t, GML_DOWN);
}
