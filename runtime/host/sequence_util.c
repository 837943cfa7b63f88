#include "runtime/host/sequence_util.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

gml_status gml_host_sequence(gml_host_call *call, unsigned k, const gml_rvalue **out_sequence)
{
    if (k >= call->n_inputs || call->inputs[k].kind != GML_RVALUE_SEQUENCE)
        return gml_host_fail(call, GML_E_TYPE, "operand %u is no sequence", k);
    *out_sequence = &call->inputs[k];
    return GML_OK;
}

gml_status gml_host_position(gml_host_call *call, unsigned k, int64_t fallback, int64_t size,
                             int64_t *out_position)
{
    int64_t position = 0;
    GML_TRY(gml_host_scalar_int(call, k, fallback, &position));
    if (position < -size || position >= size)
        return gml_host_fail(call, GML_E_RANGE,
                             "position %" PRId64 " is outside a sequence with %" PRId64
                             " places",
                             position, size);
    *out_position = position < 0 ? position + size : position;
    return GML_OK;
}

/* The shape of the result. Items agree in type and in all dimensions but the joined one. */
static gml_status join_dims(gml_host_call *call, const gml_rvalue *items, size_t count,
                            const gml_join *join, gml_tensor *out_shape, int *out_axis)
{
    if (items[0].kind != GML_RVALUE_TENSOR)
        return gml_host_fail(call, GML_E_TYPE, "item 0 is no tensor");
    const gml_tensor *first = &items[0].tensor;
    gml_tensor shape = {.dtype = first->dtype, .rank = first->rank + (join->new_axis ? 1 : 0)};
    int axis = 0;
    if (shape.rank > GML_MAX_RANK)
        return gml_host_fail(call, GML_E_SHAPE, "rank %d is above %d", shape.rank,
                             GML_MAX_RANK);
    GML_TRY(gml_host_axis(call, join->axis, shape.rank, &axis));
    for (int k = 0, i = 0; k < shape.rank; k++) {
        if (!(join->new_axis && k == axis))
            shape.dims[k] = first->dims[i++];
    }
    shape.dims[axis] = join->new_axis ? (int64_t)count : 0;
    for (size_t n = 0; n < count; n++) {
        const gml_tensor *item = &items[n].tensor;
        bool fits = items[n].kind == GML_RVALUE_TENSOR && item->dtype == first->dtype &&
                    item->rank == first->rank;
        for (int k = 0; fits && k < item->rank; k++)
            fits = item->dims[k] == first->dims[k] || (!join->new_axis && k == axis);
        if (!fits)
            return gml_host_fail(call, GML_E_SHAPE,
                                 "item %zu does not have the type and shape of item 0", n);
        if (!join->new_axis &&
            __builtin_add_overflow(shape.dims[axis], item->dims[axis], &shape.dims[axis]))
            return gml_host_fail(call, GML_E_SHAPE, "the size of axis %d overflows", axis);
    }
    *out_shape = shape;
    *out_axis = axis;
    return GML_OK;
}

gml_status gml_host_join(gml_host_call *call, unsigned i, const gml_rvalue *items, size_t count,
                         const gml_join *join)
{
    gml_tensor shape = {0};
    int axis = 0;
    GML_TRY(join_dims(call, items, count, join, &shape, &axis));
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, i, shape.dtype, shape.rank, shape.dims, &y));
    if (gml_tensor_numel(y) == 0)
        return GML_OK;
    int64_t outer = gml_dims_product(y, 0, axis);
    int64_t row = gml_dims_product(y, axis, y->rank);
    int64_t at = 0;
    for (size_t n = 0; n < count; n++) {
        const gml_tensor *item = &items[join->backwards ? count - 1 - n : n].tensor;
        int64_t part = gml_tensor_numel(item) / outer;
        for (int64_t o = 0; o < outer; o++)
            gml_host_copy(y, o * row + at, item, o * part, part);
        at += part;
    }
    return gml_host_own_strings(call, &call->outputs[i]);
}

gml_status gml_host_slice(gml_host_call *call, const gml_tensor *from, const gml_part *part,
                          gml_rvalue *out_part)
{
    gml_tensor shape = *from;
    shape.dims[part->axis] = part->length;
    if (part->squeeze) {
        shape.rank--;
        for (int k = part->axis; k < shape.rank; k++)
            shape.dims[k] = from->dims[k + 1];
    }
    gml_status status = gml_rvalue_alloc(out_part, from->dtype, shape.rank, shape.dims);
    if (status != GML_OK)
        return gml_host_no_memory(call);
    if (gml_tensor_numel(&out_part->tensor) == 0)
        return GML_OK;
    int64_t outer = gml_dims_product(from, 0, part->axis);
    int64_t inner = gml_dims_product(from, part->axis + 1, from->rank);
    for (int64_t o = 0; o < outer; o++)
        gml_host_copy(&out_part->tensor, o * part->length * inner, from,
                      (o * from->dims[part->axis] + part->start) * inner, part->length * inner);
    return gml_host_own_strings(call, out_part);
}

gml_status gml_host_grow(gml_host_call *call, gml_rvalue *sequence, size_t count)
{
    if (count < sequence->n_items)
        return GML_OK;
    gml_rvalue larger = {0};
    if (gml_rvalue_sequence(&larger, 2 * count + 4) != GML_OK)
        return gml_host_no_memory(call);
    if (sequence->n_items != 0)
        memcpy(larger.items, sequence->items, sequence->n_items * sizeof *larger.items);
    free(sequence->items);
    *sequence = larger;
    return GML_OK;
}
