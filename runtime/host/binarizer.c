#include "runtime/host/host_util.h"

gml_status gml_host_binarizer(gml_host_call *call)
{
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(gml_host_alloc(call, 0, x->dtype, x->rank, x->dims, &y));
    double threshold = (double)gml_host_float(call, "threshold", 0);
    for (int64_t i = 0; i < gml_tensor_numel(x); i++)
        gml_host_put_int(y, i, gml_host_get_float(x, i) > threshold);
    return GML_OK;
}
