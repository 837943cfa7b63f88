/* codegen/llvm/transpose.c - copies that turn rows into columns, in squares of registers.
 *
 * What is read runs along the serial loop and what is written runs along the vector axis, as
 * where K of an attention is packed into panels. A vector along the axis would be a gather, ten
 * times as slow as this: whole vectors both ways, and log2(lanes) exchanges in between. */
#include "codegen/llvm/kernel.h"
#include "ir/index.h"

static bool is_power_of_two(unsigned n)
{
    return (n & (n - 1)) == 0;
}

static bool has_form(const gml_emit *e, const gml_stmt *store, const gml_axis *axis,
                     const gml_axis *serial, unsigned lanes)
{
    const gml_expr *value = store->as.store.value;
    if (value->kind != GML_EXPR_LOAD || value->as.load.pred || value->dtype != GML_F32 ||
        store->as.store.mem->dtype != GML_F32 || !is_power_of_two(lanes) || lanes < 4 ||
        !gml_dim_is_const(serial->extent) || serial->extent % lanes != 0 ||
        !gml_dim_is_const(axis->extent) || axis->extent % lanes != 0)
        return false;
    int64_t out =
        gml_schedule_stride(e->kernel, store->as.store.mem, store->as.store.index, serial);
    return out != GML_STRIDE_UNKNOWN &&
           gml_schedule_stride(e->kernel, value->as.load.mem, value->as.load.index, serial) ==
               1 &&
           gml_schedule_stride(e->kernel, value->as.load.mem, value->as.load.index, axis) != 1;
}

/* The square of values with rows and columns exchanged: at distance 1, 2, 4, … two rows swap
 * what lies off the diagonal. */
static void exchange(gml_emit *e, LLVMValueRef *rows, unsigned lanes)
{
    for (unsigned distance = 1; distance < lanes; distance *= 2) {
        LLVMValueRef first[16], second[16];
        for (unsigned i = 0; i < lanes; i++) {
            bool off = i & distance;
            first[i] = LLVMConstInt(e->be->i32, off ? lanes + i - distance : i, 0);
            second[i] = LLVMConstInt(e->be->i32, off ? lanes + i : i + distance, 0);
        }
        for (unsigned i = 0; i < lanes; i++) {
            if (i & distance)
                continue;
            LLVMValueRef a = rows[i];
            LLVMValueRef b = rows[i + distance];
            rows[i] = LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(first, lanes), "");
            rows[i + distance] =
                LLVMBuildShuffleVector(e->b, a, b, LLVMConstVector(second, lanes), "");
        }
    }
}

static LLVMValueRef address(gml_emit *e, const gml_mem *mem, const gml_expr *const *index)
{
    return gml_emit_address(e, mem, gml_emit_expr(e, gml_index_flat(e->kernel, mem, index)));
}

static LLVMValueRef moved(gml_emit *e, LLVMValueRef base, LLVMValueRef elements)
{
    return LLVMBuildInBoundsGEP2(e->b, e->be->f32, base, &elements, 1, "");
}

bool gml_emit_transposed(gml_emit *e, const gml_stmt *store, const gml_axis *axis,
                         const gml_axis *serial, unsigned lanes)
{
    if (!has_form(e, store, axis, serial, lanes))
        return false;
    const gml_expr *value = store->as.store.value;
    const gml_mem *mem = store->as.store.mem;
    LLVMTypeRef vector = LLVMVectorType(e->be->f32, lanes);
    int64_t stride = gml_schedule_stride(e->kernel, mem, store->as.store.index, serial);
    for (int64_t first = 0; first < axis->extent; first += lanes) {
        LLVMValueRef from[16], rows[16];
        LLVMValueRef to = NULL;
        e->axis[serial->number] = gml_ll_int(e, 0);
        for (unsigned i = 0; i < lanes; i++) {
            gml_scope_push(e);
            e->axis[axis->number] = gml_ll_int(e, first + i);
            from[i] = address(e, value->as.load.mem, value->as.load.index);
            if (i == 0)
                to = address(e, mem, store->as.store.index);
            gml_scope_pop(e);
        }
        gml_loop loop;
        gml_loop_begin(e, &loop, gml_ll_int(e, 0), gml_ll_int(e, serial->extent), lanes, NULL,
                       0);
        for (unsigned i = 0; i < lanes; i++) {
            rows[i] = LLVMBuildLoad2(e->b, vector, moved(e, from[i], loop.counter), "");
            LLVMSetAlignment(rows[i], 4);
        }
        exchange(e, rows, lanes);
        LLVMValueRef begin = LLVMBuildMul(e->b, loop.counter, gml_ll_int(e, stride), "");
        for (unsigned i = 0; i < lanes; i++) {
            LLVMValueRef at = LLVMBuildAdd(e->b, begin, gml_ll_int(e, i * stride), "");
            LLVMSetAlignment(LLVMBuildStore(e->b, rows[i], moved(e, to, at)), 4);
        }
        gml_loop_end(e, &loop, NULL);
    }
    return true;
}
