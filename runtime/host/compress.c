#include "runtime/host/host_util.h"

#include <inttypes.h>

/* Keeps the slices of `x`, seen as (outer, size, inner), where `condition` holds. */
static void gather_slices(const gml_tensor *x, const gml_tensor *condition, int64_t outer,
                          int64_t size, int64_t inner, const gml_tensor *y)
{
    int64_t n = gml_tensor_numel(condition);
    int64_t to = 0;
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < n && i < size; i++) {
            if (gml_host_get_int(condition, i) == 0)
                continue;
            gml_host_copy(y, to, x, (o * size + i) * inner, inner);
            to += inner;
        }
    }
}

gml_status gml_host_compress(gml_host_call *call)
{
    const gml_tensor *x = NULL;
    const gml_tensor *condition = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(gml_host_require(call, 1, &condition));
    bool has_axis = gml_host_attr(call, "axis") != NULL;
    int axis = 0;
    if (has_axis)
        GML_TRY(gml_host_axis(call, gml_host_int(call, "axis", 0), x->rank, &axis));
    int64_t size = has_axis ? x->dims[axis] : gml_tensor_numel(x);
    int64_t count = 0;
    for (int64_t i = 0; i < gml_tensor_numel(condition); i++) {
        if (gml_host_get_int(condition, i) == 0)
            continue;
        if (i >= size)
            return gml_host_fail(call, GML_E_RANGE,
                                 "the condition selects slice %" PRId64 " of %" PRId64, i,
                                 size);
        count++;
    }
    int64_t dims[GML_MAX_RANK] = {count};
    for (int i = 0; has_axis && i < x->rank; i++)
        dims[i] = i == axis ? count : x->dims[i];
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, x->dtype, has_axis ? x->rank : 1, dims, &y));
    if (gml_tensor_numel(y) > 0)
        gather_slices(x, condition, has_axis ? gml_dims_product(x, 0, axis) : 1, size,
                      has_axis ? gml_dims_product(x, axis + 1, x->rank) : 1, y);
    return gml_host_own_strings(call, &call->outputs[0]);
}
