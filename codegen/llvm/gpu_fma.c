/* codegen/llvm/gpu_fma.c - a tile's products in f32, on a GPU's ordinary units.
 *
 * 256 threads are a square of 16 x 16. A thread has runs of four rows and of four columns, 64
 * apart: one run each in a tile of 64, two in one of 128. So the threads of a warp read whole
 * lines of shared memory, and store whole lines of y. Sums are vectors of four columns, by row,
 * then by run of columns. */
#include "codegen/llvm/gpu_columns.h"

#define GML_RUN      4
#define GML_RUN_STEP 64

static unsigned runs_of(unsigned side)
{
    return side / GML_RUN_STEP;
}

void gml_fma_begin(gml_tile *t, LLVMValueRef *out_sums)
{
    gml_emit *e = t->e;
    LLVMValueRef row = LLVMBuildLShr(e->b, e->team.lane, gml_ll_int(e, 4), "");
    LLVMValueRef column = LLVMBuildAnd(e->b, e->team.lane, gml_ll_int(e, 15), "");
    t->y = gml_tile_times(e, row, GML_RUN);
    t->x = gml_tile_times(e, column, GML_RUN);
    t->n_sums = runs_of(t->g->rows) * GML_RUN * runs_of(t->g->columns);
    for (unsigned i = 0; i < t->n_sums; i++)
        out_sums[i] = LLVMConstNull(LLVMVectorType(e->be->f32, GML_RUN));
}

static LLVMValueRef run_at(gml_tile *t, LLVMValueRef slice, unsigned line, unsigned k,
                           LLVMValueRef at, unsigned run)
{
    gml_emit *e = t->e;
    LLVMValueRef position =
        gml_tile_add(e, at, gml_ll_int(e, (int64_t)k * line + (int64_t)run * GML_RUN_STEP));
    LLVMValueRef address = LLVMBuildInBoundsGEP2(e->b, e->be->f32, slice, &position, 1, "");
    LLVMValueRef value = LLVMBuildLoad2(e->b, LLVMVectorType(e->be->f32, GML_RUN), address, "");
    LLVMSetAlignment(value, 16);
    return value;
}

void gml_fma_multiply(gml_tile *t, LLVMValueRef a, LLVMValueRef b, unsigned begin, unsigned end,
                      LLVMValueRef *sums)
{
    gml_emit *e = t->e;
    unsigned column_runs = runs_of(t->g->columns);
    for (unsigned k = begin; k < end; k++) {
        LLVMValueRef columns[2];
        for (unsigned h = 0; h < column_runs; h++)
            columns[h] = run_at(t, b, t->b.line, k, t->x, h);
        for (unsigned r = 0; r < runs_of(t->g->rows) * GML_RUN; r++) {
            LLVMValueRef rows = run_at(t, a, t->a.line, k, t->y, r / GML_RUN);
            LLVMValueRef number = LLVMConstInt(e->be->i32, r % GML_RUN, 0);
            LLVMValueRef one = LLVMBuildExtractElement(e->b, rows, number, "");
            LLVMValueRef all = gml_ll_splat(e, one, GML_RUN);
            for (unsigned h = 0; h < column_runs; h++) {
                LLVMValueRef *sum = &sums[r * column_runs + h];
                *sum = gml_ll_fma(e, all, columns[h], *sum);
            }
        }
    }
}

/* Column by column, for the sums of columns: two rows of threads are in a warp. */
void gml_fma_store(gml_tile *t, LLVMValueRef const *sums)
{
    gml_emit *e = t->e;
    unsigned column_runs = runs_of(t->g->columns);
    LLVMValueRef warp = LLVMBuildLShr(e->b, e->team.lane, gml_ll_int(e, 5), "");
    for (unsigned h = 0; h < column_runs; h++) {
        LLVMValueRef column = gml_tile_add(e, t->x, gml_ll_int(e, (int64_t)h * GML_RUN_STEP));
        gml_tile_sums_begin(t, GML_RUN);
        for (unsigned r = 0; r < runs_of(t->g->rows) * GML_RUN; r++) {
            int64_t row = r / GML_RUN * GML_RUN_STEP + r % GML_RUN;
            gml_tile_store(t, gml_tile_add(e, t->y, gml_ll_int(e, row)), column,
                           sums[r * column_runs + h], GML_RUN);
        }
        gml_tile_sums_end(t, column, 1 << 4, warp);
    }
    gml_tile_sums_store(t, GML_GPU_GEMM_THREADS / 32);
}
