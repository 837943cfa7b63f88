#include "runtime/host/host_util.h"

#include <inttypes.h>

/* The first sequence_lens[b] steps of batch entry b are reversed, the rest is copied. */
gml_status gml_host_reversesequence(gml_host_call *call)
{
    const gml_tensor *x = NULL;
    const gml_tensor *lengths = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(gml_host_require(call, 1, &lengths));
    int64_t batch_axis = gml_host_int(call, "batch_axis", 1);
    int64_t time_axis = gml_host_int(call, "time_axis", 0);
    if (x->rank < 2 || batch_axis == time_axis || batch_axis < 0 || batch_axis > 1 ||
        time_axis < 0 || time_axis > 1)
        return gml_host_fail(call, GML_E_INVALID, "batch_axis and time_axis are not 0 and 1");
    int64_t n_batch = x->dims[batch_axis];
    int64_t n_time = x->dims[time_axis];
    if (gml_tensor_numel(lengths) != n_batch)
        return gml_host_fail(call, GML_E_SHAPE,
                             "sequence_lens has %" PRId64 " entries for %" PRId64 " batches",
                             gml_tensor_numel(lengths), n_batch);
    for (int64_t b = 0; b < n_batch; b++) {
        int64_t length = gml_host_get_int(lengths, b);
        if (length < 0 || length > n_time)
            return gml_host_fail(call, GML_E_RANGE,
                                 "length %" PRId64 " of batch %" PRId64
                                 " is outside 0 to %" PRId64,
                                 length, b, n_time);
    }
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, x->dtype, x->rank, x->dims, &y));
    if (gml_tensor_numel(x) == 0)
        return GML_OK;
    int64_t inner = gml_dims_product(x, 2, x->rank);
    for (int64_t row = 0; row < n_batch * n_time; row++) {
        int64_t b = batch_axis == 0 ? row / n_time : row % n_batch;
        int64_t t = batch_axis == 0 ? row % n_time : row / n_batch;
        int64_t length = gml_host_get_int(lengths, b);
        int64_t from = t < length ? length - 1 - t : t;
        int64_t from_row = batch_axis == 0 ? b * n_time + from : from * n_batch + b;
        gml_host_copy(y, row * inner, x, from_row * inner, inner);
    }
    return gml_host_own_strings(call, &call->outputs[0]);
}
