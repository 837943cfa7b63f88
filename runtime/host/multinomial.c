/* runtime/host/multinomial.c - draws classes by their unnormalised log probabilities. */
#include "runtime/host/random_util.h"

#include <inttypes.h>
#include <math.h>

/* Running sums of exp(x - max) of one row; false when no class has a probability. */
static bool accumulate(const gml_tensor *x, int64_t row, int64_t n, double *sums)
{
    double max = -HUGE_VAL;
    for (int64_t j = 0; j < n; j++)
        max = fmax(max, gml_host_get_float(x, row * n + j));
    double sum = 0;
    for (int64_t j = 0; j < n; j++) {
        sum += exp(gml_host_get_float(x, row * n + j) - max);
        sums[j] = sum;
    }
    return sum > 0 && isfinite(sum);
}

/* The first class whose running sum is above `target`. */
static int64_t find_class(const double *sums, int64_t n, double target)
{
    int64_t low = 0;
    int64_t high = n - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (sums[middle] > target)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL; /* (batch, n) */
    const gml_tensor *y = NULL; /* (batch, samples) */
    GML_TRY(gml_host_require(call, 0, &x));
    if (x->rank != 2)
        return gml_host_fail(call, GML_E_SHAPE, "the operand has rank %d, not 2", x->rank);
    int64_t n = x->dims[1];
    int64_t n_samples = gml_host_int(call, "sample_size", 1);
    int64_t dtype = gml_host_int(call, "dtype", GML_I32);
    if (dtype != GML_I32 && dtype != GML_I64)
        return gml_host_fail(call, GML_E_TYPE, "dtype is neither i32 nor i64");
    GML_TRY(gml_host_alloc(call, 0, (gml_dtype)dtype, 2,
                           (const int64_t[]){x->dims[0], n_samples}, &y));
    double *sums = gml_scratch_array(scratch, double, n);
    if (sums == NULL)
        return gml_host_no_memory(call);
    gml_random random = gml_random_of(call);
    for (int64_t row = 0; row < x->dims[0] && n_samples > 0; row++) {
        if (n == 0 || !accumulate(x, row, n, sums))
            return gml_host_fail(call, GML_E_RANGE,
                                 "row %" PRId64 " gives no class a probability", row);
        for (int64_t i = row * n_samples; i < (row + 1) * n_samples; i++) {
            double target = gml_random_uniform(&random, (uint64_t)i) * sums[n - 1];
            gml_host_put_int(y, i, find_class(sums, n, target));
        }
    }
    return GML_OK;
}

gml_status gml_host_multinomial(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
