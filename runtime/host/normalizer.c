#include "runtime/host/ml_util.h"

#include <math.h>

/* Divides each row by its norm: the largest absolute value, their sum, or the root of the sum
 * of squares. Rows of zeros stay. */
gml_status gml_host_normalizer(gml_host_call *call)
{
    gml_features features = {0};
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_features(call, &features));
    const gml_tensor *x = features.x;
    bool is_l1 = gml_host_string_is(call, "norm", "L1");
    bool is_l2 = gml_host_string_is(call, "norm", "L2");
    if (!is_l1 && !is_l2 && gml_host_attr(call, "norm") != NULL &&
        !gml_host_string_is(call, "norm", "MAX"))
        return gml_host_fail(call, GML_E_INVALID, "norm is none of MAX, L1 and L2");
    GML_TRY(gml_host_alloc(call, 0, GML_F32, x->rank, x->dims, &y));
    for (int64_t row = 0; row < features.rows && features.width > 0; row++) {
        double norm = 0;
        for (int64_t i = row * features.width; i < (row + 1) * features.width; i++) {
            double value = fabs(gml_host_get_float(x, i));
            norm = is_l1 ? norm + value : is_l2 ? norm + value * value : fmax(norm, value);
        }
        norm = is_l2 ? sqrt(norm) : norm;
        for (int64_t i = row * features.width; i < (row + 1) * features.width; i++)
            gml_host_put(y, i, gml_host_get_float(x, i) / (norm > 0 ? norm : 1));
    }
    return GML_OK;
}
