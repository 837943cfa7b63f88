#include "runtime/host/scatter_util.h"

#include <inttypes.h>

static gml_status check_shapes(gml_host_call *call, const gml_tensor *data,
                               const gml_tensor *indices, const gml_tensor *updates, int axis)
{
    if (indices->rank != data->rank || updates->rank != data->rank ||
        updates->dtype != data->dtype)
        return gml_host_fail(call, GML_E_SHAPE,
                             "data, indices and updates have ranks %d, %d and %d", data->rank,
                             indices->rank, updates->rank);
    for (int i = 0; i < data->rank; i++) {
        if (indices->dims[i] != updates->dims[i])
            return gml_host_fail(call, GML_E_SHAPE,
                                 "indices have %" PRId64 " along axis %d, updates %" PRId64,
                                 indices->dims[i], i, updates->dims[i]);
        if (i != axis && indices->dims[i] > data->dims[i])
            return gml_host_fail(call, GML_E_SHAPE,
                                 "indices have %" PRId64 " along axis %d, data %" PRId64,
                                 indices->dims[i], i, data->dims[i]);
    }
    return GML_OK;
}

gml_status gml_host_scatterelements(gml_host_call *call)
{
    const gml_tensor *data = NULL;
    const gml_tensor *indices = NULL;
    const gml_tensor *updates = NULL;
    GML_TRY(gml_host_require(call, 0, &data));
    GML_TRY(gml_host_require(call, 1, &indices));
    GML_TRY(gml_host_require(call, 2, &updates));
    int axis = 0;
    gml_combine combine = GML_COMBINE_REPLACE;
    GML_TRY(gml_host_axis(call, gml_host_int(call, "axis", 0), data->rank, &axis));
    GML_TRY(check_shapes(call, data, indices, updates, axis));
    GML_TRY(gml_combine_of(call, data->dtype, &combine));
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, data->dtype, data->rank, data->dims, &y));
    gml_host_copy(y, 0, data, 0, gml_tensor_numel(data));
    int64_t position[GML_MAX_RANK] = {0};
    for (int64_t i = 0; i < gml_tensor_numel(indices); i++) {
        int64_t hit = 0;
        int64_t to = 0;
        GML_TRY(gml_host_index(call, gml_host_get_int(indices, i), data->dims[axis], &hit));
        for (int k = 0; k < data->rank; k++)
            to = to * data->dims[k] + (k == axis ? hit : position[k]);
        gml_combine_element(combine, y, to, updates, i);
        for (int k = data->rank - 1; k >= 0 && ++position[k] == indices->dims[k]; k--)
            position[k] = 0;
    }
    return gml_host_own_strings(call, &call->outputs[0]);
}
