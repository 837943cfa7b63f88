#include "runtime/host/broadcast_util.h"

#include <inttypes.h>

gml_status gml_host_broadcast(gml_host_call *call, const gml_tensor *a, const gml_tensor *b,
                              gml_tensor *out_shape)
{
    int rank = a->rank > b->rank ? a->rank : b->rank;
    *out_shape = (gml_tensor){.rank = rank};
    for (int back = 1; back <= rank; back++) {
        int64_t x = back <= a->rank ? a->dims[a->rank - back] : 1;
        int64_t y = back <= b->rank ? b->dims[b->rank - back] : 1;
        if (x != y && x != 1 && y != 1)
            return gml_host_fail(call, GML_E_SHAPE,
                                 "operands do not broadcast: %" PRId64 " against %" PRId64
                                 ", %d from the end",
                                 x, y, back);
        out_shape->dims[rank - back] = x == 1 ? y : x;
    }
    return GML_OK;
}

int64_t gml_broadcast_index(const gml_tensor *shape, int64_t flat, const gml_tensor *operand)
{
    int64_t index = 0;
    int64_t stride = 1;
    for (int back = 1; back <= operand->rank; back++) {
        int64_t dim = operand->dims[operand->rank - back];
        int64_t at = flat % shape->dims[shape->rank - back];
        flat /= shape->dims[shape->rank - back];
        index += dim == 1 ? 0 : at * stride;
        stride *= dim;
    }
    return index;
}
