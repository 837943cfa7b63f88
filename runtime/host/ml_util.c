#include "runtime/host/ml_util.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static gml_tensor vector_of(gml_dtype dtype, size_t count, const void *data)
{
    union {
        const void *in;
        void *out; /* views are not const, but nobody writes through this one */
    } pointer = {.in = data};
    return (gml_tensor){
        .dtype = dtype, .rank = 1, .dims = {(int64_t)count}, .data = pointer.out};
}

bool gml_host_attr_vector(const gml_host_call *call, const char *name, gml_tensor *out_vector)
{
    const gml_attr *attr = gml_host_attr(call, name);
    if (attr == NULL)
        return false;
    switch (attr->kind) {
    case GML_ATTR_INTS: *out_vector = vector_of(GML_I64, attr->count, attr->as.ints); break;
    case GML_ATTR_FLOATS: *out_vector = vector_of(GML_F32, attr->count, attr->as.floats); break;
    case GML_ATTR_STRINGS:
        *out_vector = vector_of(GML_STRING, attr->count, attr->as.strings);
        break;
    case GML_ATTR_TENSOR:
        *out_vector = vector_of(attr->as.t->dtype, (size_t)gml_tensor_numel(attr->as.t),
                                attr->as.t->data);
        break;
    case GML_ATTR_NONE:
    case GML_ATTR_INT:
    case GML_ATTR_FLOAT:
    case GML_ATTR_STRING:
    case GML_ATTR_TYPE:
    case GML_ATTR_GRAPH:
    case GML_ATTR_TENSORS: return false;
    }
    return true;
}

static int compare_keys(const void *context, int64_t a, int64_t b)
{
    const gml_lookup *lookup = context;
    if (lookup->numbers == NULL)
        return gml_string_compare(gml_strings_of(&lookup->keys)[a],
                                  gml_strings_of(&lookup->keys)[b]);
    return (lookup->numbers[a] > lookup->numbers[b]) -
           (lookup->numbers[a] < lookup->numbers[b]);
}

gml_status gml_lookup_init(gml_lookup *lookup, gml_host_call *call, const gml_tensor *keys,
                           gml_scratch *scratch)
{
    int64_t n = gml_tensor_numel(keys);
    *lookup = (gml_lookup){.keys = *keys, .count = n};
    lookup->order = gml_scratch_array(scratch, int64_t, n);
    int64_t *spare = gml_scratch_array(scratch, int64_t, n);
    if (lookup->order == NULL || spare == NULL)
        return gml_host_no_memory(call);
    if (keys->dtype != GML_STRING) {
        lookup->numbers = gml_scratch_array(scratch, uint64_t, n);
        if (lookup->numbers == NULL)
            return gml_host_no_memory(call);
    }
    for (int64_t i = 0; i < n; i++) {
        lookup->order[i] = i;
        if (lookup->numbers != NULL)
            lookup->numbers[i] = gml_order_key(keys, i);
    }
    gml_sort(lookup->order, spare, n, compare_keys, lookup);
    return GML_OK;
}

int64_t gml_lookup_find(const gml_lookup *lookup, const gml_tensor *x, int64_t i)
{
    bool is_string = x->dtype == GML_STRING;
    bool is_float = gml_dtype_get_class(x->dtype) == GML_CLASS_FLOAT;
    if (is_string != (lookup->numbers == NULL) ||
        is_float != (gml_dtype_get_class(lookup->keys.dtype) == GML_CLASS_FLOAT))
        return -1;
    uint64_t number = is_string ? 0 : gml_order_key(x, i);
    int64_t low = 0;
    int64_t high = lookup->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int64_t key = lookup->order[middle];
        bool is_less = is_string ? gml_string_compare(gml_strings_of(&lookup->keys)[key],
                                                      gml_strings_of(x)[i]) < 0
                                 : lookup->numbers[key] < number;
        if (is_less)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == lookup->count)
        return -1;
    int64_t key = lookup->order[low];
    bool is_equal =
        is_string ? gml_string_equal(gml_strings_of(&lookup->keys)[key], gml_strings_of(x)[i])
                  : lookup->numbers[key] == number;
    return is_equal ? key : -1;
}

gml_status gml_host_features(gml_host_call *call, gml_features *out_features)
{
    const gml_tensor *x = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    if (x->rank < 1 || x->rank > 2)
        return gml_host_fail(call, GML_E_SHAPE, "the features have rank %d, not 1 or 2",
                             x->rank);
    *out_features = (gml_features){
        .x = x, .rows = x->rank == 2 ? x->dims[0] : 1, .width = x->dims[x->rank - 1]};
    return GML_OK;
}

gml_status gml_host_transform(gml_host_call *call, gml_transform *out_transform)
{
    static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO",
                                        "PROBIT"};
    *out_transform = GML_TRANSFORM_NONE;
    if (gml_host_attr(call, "post_transform") == NULL)
        return GML_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (gml_host_string_is(call, "post_transform", names[i])) {
            *out_transform = (gml_transform)i;
            return GML_OK;
        }
    }
    return gml_host_fail(call, GML_E_INVALID, "post_transform is not known");
}

static double logistic(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

/* The quantile of the normal distribution, by Newton steps on its distribution function from
 * Winitzki's approximation of the inverse of erf. */
static double probit(double p)
{
    const double a = 0.147;
    const double two_over_pi_a = 4.33074675078; /* 2 / (pi a) */
    if (!(p > 0 && p < 1))
        return p <= 0 ? -HUGE_VAL : (p >= 1 ? HUGE_VAL : p);
    double y = 2 * p - 1;
    double log_term = log((1 - y) * (1 + y));
    double half = two_over_pi_a + log_term / 2;
    double z = copysign(sqrt(2 * (sqrt(half * half - log_term / a) - half)), y);
    for (int i = 0; i < 3; i++) {
        double density = exp(-z * z / 2) * 0.39894228040143267794; /* 1 / sqrt(2 pi) */
        double error = 0.5 * erfc(-z * 0.70710678118654752440) - p;
        if (density > 0)
            z -= error / density;
    }
    return z;
}

static void softmax(double *scores, int64_t count, bool keeps_zeros)
{
    double max = -HUGE_VAL;
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        max = fmax(max, scores[i]);
    for (int64_t i = 0; i < count; i++) {
        bool is_zero = fabs(scores[i]) <= 1e-7;
        scores[i] = keeps_zeros && is_zero ? scores[i] * exp(-max) : exp(scores[i] - max);
        sum += scores[i];
    }
    for (int64_t i = 0; i < count; i++)
        scores[i] = sum != 0 ? scores[i] / sum : 0.5;
}

void gml_transform_scores(gml_transform transform, double *scores, int64_t count)
{
    switch (transform) {
    case GML_TRANSFORM_NONE: return;
    case GML_TRANSFORM_SOFTMAX: softmax(scores, count, false); return;
    case GML_TRANSFORM_SOFTMAX_ZERO: softmax(scores, count, true); return;
    case GML_TRANSFORM_LOGISTIC:
    case GML_TRANSFORM_PROBIT: break;
    }
    for (int64_t i = 0; i < count; i++)
        scores[i] = transform == GML_TRANSFORM_PROBIT ? probit(scores[i]) : logistic(scores[i]);
}

gml_labels gml_host_labels(const gml_host_call *call, const char *ints, const char *strings)
{
    gml_labels labels = {0};
    gml_tensor names = {0};
    if ((gml_host_attr_vector(call, strings, &names) && names.dims[0] > 0) ||
        gml_host_attr_vector(call, ints, &names)) {
        labels.names = names;
        labels.count = names.dims[0];
    }
    return labels;
}

static gml_status set_names(gml_host_call *call, const gml_labels *labels,
                            const int64_t *numbers, int64_t rows, gml_scratch *scratch)
{
    gml_string *names = gml_scratch_array(scratch, gml_string, rows);
    if (names == NULL)
        return gml_host_no_memory(call);
    for (int64_t i = 0; i < rows; i++) {
        if (numbers[i] >= 0 && numbers[i] < labels->count)
            names[i] = gml_strings_of(&labels->names)[numbers[i]];
    }
    return gml_host_set_strings(call, 0, 1, &rows, names);
}

gml_status gml_host_set_labels(gml_host_call *call, const gml_labels *labels,
                               const int64_t *numbers, int64_t rows, gml_scratch *scratch)
{
    if (labels->names.dtype == GML_STRING)
        return set_names(call, labels, numbers, rows, scratch);
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, GML_I64, 1, &rows, &y));
    for (int64_t i = 0; i < rows; i++) {
        int64_t label = numbers[i] < 0 ? 0 : numbers[i];
        if (labels->count > 0 && numbers[i] >= 0)
            label =
                numbers[i] < labels->count ? gml_host_get_int(&labels->names, numbers[i]) : 0;
        gml_host_put_int(y, i, label);
    }
    return GML_OK;
}

int64_t gml_best(const double *scores, int64_t count)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; i++) {
        if (scores[i] > scores[best])
            best = i;
    }
    return best;
}
