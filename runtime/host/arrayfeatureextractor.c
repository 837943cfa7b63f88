#include "runtime/host/host_util.h"

/* Picks elements of the last axis; a vector gives one row. */
gml_status gml_host_arrayfeatureextractor(gml_host_call *call)
{
    const gml_tensor *x = NULL;
    const gml_tensor *indices = NULL;
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(gml_host_require(call, 1, &indices));
    if (x->rank < 1)
        return gml_host_fail(call, GML_E_SHAPE, "a scalar has no features");
    int64_t width = x->dims[x->rank - 1];
    int64_t count = gml_tensor_numel(indices);
    gml_tensor shape = *x;
    if (x->rank == 1)
        shape = (gml_tensor){.rank = 2, .dims = {1}};
    shape.dims[shape.rank - 1] = count;
    GML_TRY(gml_host_alloc(call, 0, x->dtype, shape.rank, shape.dims, &y));
    int64_t numel = gml_tensor_numel(y);
    for (int64_t j = 0; j < count && (width == 0 || numel > 0); j++) {
        int64_t from = gml_host_get_int(indices, j);
        if (from < 0)
            from = width; /* there is no counting from the end */
        GML_TRY(gml_host_index(call, from, width, &from));
        for (int64_t row = 0; row < numel / count; row++)
            gml_host_copy(y, row * count + j, x, row * width + from, 1);
    }
    return gml_host_own_strings(call, &call->outputs[0]);
}
