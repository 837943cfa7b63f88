#include "runtime/host/svm_util.h"

#include <inttypes.h>
#include <math.h>

static gml_status read_kernel(gml_host_call *call, gml_svm *svm)
{
    static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (gml_host_string_is(call, "kernel_type", names[i])) {
            svm->kernel = (gml_svm_kernel)i;
            return GML_OK;
        }
    }
    if (gml_host_attr(call, "kernel_type") == NULL)
        return GML_OK;
    return gml_host_fail(call, GML_E_INVALID,
                         "kernel_type is none of LINEAR, POLY, RBF and SIGMOID");
}

gml_status gml_svm_init(gml_svm *svm, gml_host_call *call, size_t n_vectors)
{
    *svm = (gml_svm){.n_vectors = n_vectors};
    size_t n_params = 0;
    size_t n_values = 0;
    GML_TRY(gml_host_features(call, &svm->f));
    GML_TRY(gml_host_transform(call, &svm->transform));
    const float *params = gml_host_floats(call, "kernel_params", &n_params);
    svm->vectors = gml_host_floats(call, "support_vectors", &n_values);
    svm->coefficients = gml_host_floats(call, "coefficients", &svm->n_coefficients);
    svm->rho = gml_host_floats(call, "rho", &svm->n_rho);
    if (n_params >= 3) {
        svm->gamma = (double)params[0];
        svm->coef0 = (double)params[1];
        svm->degree = (double)params[2];
    }
    if (n_vectors > 0)
        GML_TRY(read_kernel(call, svm));
    size_t needed = 0;
    if (__builtin_mul_overflow(n_vectors, (size_t)svm->f.width, &needed) || needed > n_values)
        return gml_host_fail(call, GML_E_INVALID,
                             "%zu values for %zu support vectors of %" PRId64 " features",
                             n_values, n_vectors, svm->f.width);
    if (svm->n_rho == 0 || svm->n_coefficients == 0)
        return gml_host_fail(call, GML_E_INVALID, "coefficients or rho are missing");
    return GML_OK;
}

double gml_svm_apply(const gml_svm *svm, int64_t row, const float *vector)
{
    double sum = 0;
    for (int64_t i = 0; i < svm->f.width; i++) {
        double x = gml_host_get_float(svm->f.x, row * svm->f.width + i);
        double v = (double)vector[i];
        sum += svm->kernel == GML_SVM_RBF ? (x - v) * (x - v) : x * v;
    }
    switch (svm->kernel) {
    case GML_SVM_LINEAR: break;
    case GML_SVM_POLY: return pow(svm->gamma * sum + svm->coef0, svm->degree);
    case GML_SVM_RBF: return exp(-svm->gamma * sum);
    case GML_SVM_SIGMOID: return tanh(svm->gamma * sum + svm->coef0);
    }
    return sum;
}
