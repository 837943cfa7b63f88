#include "runtime/host/broadcast_util.h"

gml_status gml_host_stringequal(gml_host_call *call)
{
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL;
    const gml_tensor *z = NULL;
    gml_tensor shape = {0};
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(gml_host_require(call, 1, &y));
    if (x->dtype != GML_STRING || y->dtype != GML_STRING)
        return gml_host_fail(call, GML_E_TYPE, "an operand is no string tensor");
    GML_TRY(gml_host_broadcast(call, x, y, &shape));
    GML_TRY(gml_host_alloc(call, 0, GML_BOOL, shape.rank, shape.dims, &z));
    for (int64_t i = 0; i < gml_tensor_numel(z); i++)
        gml_host_put_int(
            z, i,
            gml_string_equal(gml_strings_of(x)[gml_broadcast_index(&shape, i, x)],
                             gml_strings_of(y)[gml_broadcast_index(&shape, i, y)]));
    return GML_OK;
}
