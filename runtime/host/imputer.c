#include "runtime/host/ml_util.h"

#include <math.h>

/* Replaces one value (or NaN) by the feature's own, or by the only one given. */
gml_status gml_host_imputer(gml_host_call *call)
{
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL;
    gml_tensor values = {0};
    GML_TRY(gml_host_require(call, 0, &x));
    bool is_float = gml_dtype_get_class(x->dtype) == GML_CLASS_FLOAT;
    bool is_there = gml_host_attr_vector(
        call, is_float ? "imputed_value_floats" : "imputed_value_int64s", &values);
    int64_t width = x->rank > 0 ? x->dims[x->rank - 1] : 1;
    if (!is_there || (values.dims[0] != 1 && values.dims[0] != width))
        return gml_host_fail(call, GML_E_INVALID,
                             "there is neither one value to impute nor one per feature");
    GML_TRY(gml_host_alloc(call, 0, x->dtype, x->rank, x->dims, &y));
    double missing = (double)gml_host_float(call, "replaced_value_float", 0);
    int64_t missing_int = gml_host_int(call, "replaced_value_int64", 0);
    for (int64_t i = 0; i < gml_tensor_numel(x); i++) {
        int64_t at = values.dims[0] == 1 ? 0 : i % width;
        double value = gml_host_get_float(x, i);
        bool is_missing = is_float ? value == missing || (isnan(missing) && isnan(value))
                                   : gml_host_get_int(x, i) == missing_int;
        if (!is_missing)
            gml_host_copy(y, i, x, i, 1);
        else if (is_float)
            gml_host_put(y, i, gml_host_get_float(&values, at));
        else
            gml_host_put_int(y, i, gml_host_get_int(&values, at));
    }
    return GML_OK;
}
