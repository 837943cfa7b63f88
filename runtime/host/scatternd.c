#include "runtime/host/scatter_util.h"

#include <inttypes.h>

/* updates: indices.shape[:-1] + data.shape[depth:], where an index tuple has `depth` entries.
 */
static gml_status check_shapes(gml_host_call *call, const gml_tensor *data,
                               const gml_tensor *indices, const gml_tensor *updates)
{
    if (indices->rank < 1)
        return gml_host_fail(call, GML_E_SHAPE, "indices have no dimension");
    int64_t depth = indices->dims[indices->rank - 1];
    if (depth > data->rank || depth < 0)
        return gml_host_fail(call, GML_E_SHAPE,
                             "index tuples have %" PRId64 " entries, data has rank %d", depth,
                             data->rank);
    int n_outer = indices->rank - 1;
    bool fits =
        updates->rank == n_outer + data->rank - (int)depth && updates->dtype == data->dtype;
    for (int i = 0; fits && i < updates->rank; i++)
        fits = updates->dims[i] ==
               (i < n_outer ? indices->dims[i] : data->dims[i - n_outer + (int)depth]);
    if (!fits)
        return gml_host_fail(call, GML_E_SHAPE,
                             "updates do not have the shape that data and indices ask for");
    return GML_OK;
}

gml_status gml_host_scatternd(gml_host_call *call)
{
    const gml_tensor *data = NULL;
    const gml_tensor *indices = NULL;
    const gml_tensor *updates = NULL;
    GML_TRY(gml_host_require(call, 0, &data));
    GML_TRY(gml_host_require(call, 1, &indices));
    GML_TRY(gml_host_require(call, 2, &updates));
    gml_combine combine = GML_COMBINE_REPLACE;
    GML_TRY(check_shapes(call, data, indices, updates));
    GML_TRY(gml_combine_of(call, data->dtype, &combine));
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, data->dtype, data->rank, data->dims, &y));
    gml_host_copy(y, 0, data, 0, gml_tensor_numel(data));
    if (gml_tensor_numel(updates) == 0)
        return gml_host_own_strings(call, &call->outputs[0]);
    int depth = (int)indices->dims[indices->rank - 1];
    int64_t n_tuples = gml_dims_product(indices, 0, indices->rank - 1);
    int64_t inner = gml_dims_product(data, depth, data->rank);
    for (int64_t i = 0; i < n_tuples; i++) {
        int64_t to = 0;
        for (int k = 0; k < depth; k++) {
            int64_t hit = 0;
            GML_TRY(gml_host_index(call, gml_host_get_int(indices, i * depth + k),
                                   data->dims[k], &hit));
            to = to * data->dims[k] + hit;
        }
        for (int64_t j = 0; j < inner; j++)
            gml_combine_element(combine, y, to * inner + j, updates, i * inner + j);
    }
    return gml_host_own_strings(call, &call->outputs[0]);
}
