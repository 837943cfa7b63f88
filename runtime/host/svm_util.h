/* runtime/host/svm_util.h - kernels of support vector machines. */
#ifndef GML_RUNTIME_HOST_SVM_UTIL_H
#define GML_RUNTIME_HOST_SVM_UTIL_H

#include "runtime/host/ml_util.h"

typedef enum gml_svm_kernel {
    GML_SVM_LINEAR,
    GML_SVM_POLY,
    GML_SVM_RBF,
    GML_SVM_SIGMOID,
} gml_svm_kernel;

typedef struct gml_svm {
    gml_features f;
    gml_svm_kernel kernel;
    double gamma, coef0, degree;
    const float *vectors; /* (n_vectors, width) */
    const float *coefficients;
    const float *rho;
    size_t n_vectors, n_coefficients, n_rho;
    gml_transform transform;
} gml_svm;

/* Reads what regressor and classifier share. `n_vectors` support vectors are expected; with
 * none, the kernel is linear and the coefficients are the weights. */
gml_status gml_svm_init(gml_svm *svm, gml_host_call *call, size_t n_vectors);
/* The kernel of row `row` of the features with `vector` (width entries). */
double gml_svm_apply(const gml_svm *svm, int64_t row, const float *vector);

#endif
