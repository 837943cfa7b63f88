/* runtime/host/ml_util.h - what the ai.onnx.ml operators share: lists as tensors, look-up of
 * keys, feature matrices, class labels, transforms of scores. */
#ifndef GML_RUNTIME_HOST_ML_UTIL_H
#define GML_RUNTIME_HOST_ML_UTIL_H

#include "runtime/host/order_util.h"

/* A list or tensor attribute as a vector; false when it is absent. Borrows its elements. */
bool gml_host_attr_vector(const gml_host_call *call, const char *name, gml_tensor *out_vector);

/* Keys to positions. Of equal keys the first counts; NaN finds NaN. */
typedef struct gml_lookup {
    gml_tensor keys;   /* a vector */
    uint64_t *numbers; /* per key, order-keeping; NULL for strings */
    int64_t *order;    /* keys, sorted */
    int64_t count;
} gml_lookup;
gml_status gml_lookup_init(gml_lookup *lookup, gml_host_call *call, const gml_tensor *keys,
                           gml_scratch *scratch);
/* The position of the key that equals element `i` of `x`; -1 when there is none. */
int64_t gml_lookup_find(const gml_lookup *lookup, const gml_tensor *x, int64_t i);

/* Operand 0 as (rows, features); a vector is one row. */
typedef struct gml_features {
    const gml_tensor *x;
    int64_t rows, width;
} gml_features;
gml_status gml_host_features(gml_host_call *call, gml_features *out_features);

typedef enum gml_transform { /* the numbers of TreeEnsemble's attribute */
                             GML_TRANSFORM_NONE,
                             GML_TRANSFORM_SOFTMAX,
                             GML_TRANSFORM_LOGISTIC,
                             GML_TRANSFORM_SOFTMAX_ZERO, /* softmax of what is not zero */
                             GML_TRANSFORM_PROBIT,
} gml_transform;
/* The string attribute `post_transform`. */
gml_status gml_host_transform(gml_host_call *call, gml_transform *out_transform);
void gml_transform_scores(gml_transform transform, double *scores, int64_t count);

/* The labels of a classifier: string or integer attributes of these names, or neither. */
typedef struct gml_labels {
    gml_tensor names; /* a vector; rank 0 without data when there is none */
    int64_t count;
} gml_labels;
gml_labels gml_host_labels(const gml_host_call *call, const char *ints, const char *strings);
/* Result 0, of (rows): label number numbers[row], or the number itself without labels. -1 is
 * the label "" or 0. */
gml_status gml_host_set_labels(gml_host_call *call, const gml_labels *labels,
                               const int64_t *numbers, int64_t rows, gml_scratch *scratch);
/* The position of the largest score, the first of several. */
int64_t gml_best(const double *scores, int64_t count);

#endif
