#include "runtime/host/svm_util.h"

#include <inttypes.h>

static double score(const gml_svm *svm, int64_t row)
{
    if (svm->n_vectors == 0)
        return gml_svm_apply(svm, row, svm->coefficients) + (double)svm->rho[0];
    double sum = (double)svm->rho[0];
    for (size_t j = 0; j < svm->n_vectors; j++)
        sum += (double)svm->coefficients[j] *
               gml_svm_apply(svm, row, svm->vectors + j * (size_t)svm->f.width);
    return sum;
}

gml_status gml_host_svmregressor(gml_host_call *call)
{
    gml_svm svm = {0};
    const gml_tensor *y = NULL; /* (rows, 1) */
    int64_t n_vectors = gml_host_int(call, "n_supports", 0);
    GML_TRY(gml_svm_init(&svm, call, n_vectors < 0 ? 0 : (size_t)n_vectors));
    size_t needed = svm.n_vectors > 0 ? svm.n_vectors : (size_t)svm.f.width;
    if (svm.n_coefficients < needed)
        return gml_host_fail(call, GML_E_INVALID, "%zu coefficients instead of %zu",
                             svm.n_coefficients, needed);
    bool one_class = gml_host_int(call, "one_class", 0) != 0;
    GML_TRY(gml_host_alloc(call, 0, GML_F32, 2, (const int64_t[]){svm.f.rows, 1}, &y));
    for (int64_t row = 0; row < svm.f.rows; row++) {
        double value = score(&svm, row);
        if (one_class)
            value = value > 0 ? 1 : -1;
        else
            gml_transform_scores(svm.transform, &value, 1);
        gml_host_put(y, row, value);
    }
    return GML_OK;
}
