#include "runtime/host/ml_util.h"

/* (x - offset) * scale, with one of each for all features or one per feature. */
gml_status gml_host_scaler(gml_host_call *call)
{
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL;
    size_t n_offsets = 0;
    size_t n_scales = 0;
    const float *offsets = gml_host_floats(call, "offset", &n_offsets);
    const float *scales = gml_host_floats(call, "scale", &n_scales);
    GML_TRY(gml_host_require(call, 0, &x));
    int64_t width = x->rank > 0 ? x->dims[x->rank - 1] : 1;
    if ((n_offsets > 1 && n_offsets != (uint64_t)width) ||
        (n_scales > 1 && n_scales != (uint64_t)width))
        return gml_host_fail(call, GML_E_INVALID,
                             "offset or scale has neither one value nor one per feature");
    GML_TRY(gml_host_alloc(call, 0, GML_F32, x->rank, x->dims, &y));
    for (int64_t i = 0; i < gml_tensor_numel(x); i++) {
        size_t at = (size_t)(i % width);
        double offset = n_offsets == 0 ? 0 : (double)offsets[n_offsets == 1 ? 0 : at];
        double scale = n_scales == 0 ? 1 : (double)scales[n_scales == 1 ? 0 : at];
        gml_host_put(y, i, (gml_host_get_float(x, i) - offset) * scale);
    }
    return GML_OK;
}
