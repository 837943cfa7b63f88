#include "runtime/host/ml_util.h"

#include <inttypes.h>

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    gml_features f = {0};
    gml_transform transform = GML_TRANSFORM_NONE;
    size_t n_coefficients = 0;
    size_t n_intercepts = 0;
    const float *coefficients = gml_host_floats(call, "coefficients", &n_coefficients);
    const float *intercepts = gml_host_floats(call, "intercepts", &n_intercepts);
    int64_t targets = gml_host_int(call, "targets", 1);
    GML_TRY(gml_host_features(call, &f));
    GML_TRY(gml_host_transform(call, &transform));
    int64_t n = 0;
    if (targets < 1 || __builtin_mul_overflow(targets, f.width, &n) ||
        (uint64_t)n != n_coefficients ||
        (n_intercepts != 0 && n_intercepts != (uint64_t)targets))
        return gml_host_fail(call, GML_E_INVALID,
                             "%zu coefficients and %zu intercepts for %" PRId64
                             " targets and %" PRId64 " features",
                             n_coefficients, n_intercepts, targets, f.width);
    const gml_tensor *y = NULL; /* (rows, targets) */
    GML_TRY(gml_host_alloc(call, 0, GML_F32, 2, (const int64_t[]){f.rows, targets}, &y));
    double *scores = gml_scratch_array(scratch, double, targets);
    if (scores == NULL)
        return gml_host_no_memory(call);
    for (int64_t row = 0; row < f.rows; row++) {
        for (int64_t t = 0; t < targets; t++) {
            scores[t] = n_intercepts != 0 ? (double)intercepts[t] : 0;
            for (int64_t i = 0; i < f.width; i++)
                scores[t] += gml_host_get_float(f.x, row * f.width + i) *
                             (double)coefficients[t * f.width + i];
        }
        gml_transform_scores(transform, scores, targets);
        for (int64_t t = 0; t < targets; t++)
            gml_host_put(y, row * targets + t, scores[t]);
    }
    return GML_OK;
}

gml_status gml_host_linearregressor(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
