#include "runtime/host/random_util.h"

/* Each element is 1 with the probability that the operand's element says, else 0. */
gml_status gml_host_bernoulli(gml_host_call *call)
{
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    int64_t dtype = gml_host_int(call, "dtype", x->dtype);
    if (dtype <= GML_NONE || dtype >= GML_DTYPE_COUNT || dtype == GML_STRING)
        return gml_host_fail(call, GML_E_TYPE, "dtype is no type of numbers");
    GML_TRY(gml_host_alloc(call, 0, (gml_dtype)dtype, x->rank, x->dims, &y));
    gml_random random = gml_random_of(call);
    for (int64_t i = 0; i < gml_tensor_numel(y); i++) {
        double uniform = gml_random_uniform(&random, (uint64_t)i);
        gml_host_put(y, i, uniform < gml_host_get_float(x, i) ? 1 : 0);
    }
    return GML_OK;
}
