/* runtime/host/det.c - determinants by Gaussian elimination with partial pivoting, in double.
 */
#include "runtime/host/host_util.h"

#include <inttypes.h>
#include <math.h>

/* Destroys the n by n matrix `a`. */
static double determinant(double *a, int64_t n)
{
    double det = 1;
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < n; i++) {
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k]))
                pivot = i;
        }
        if (a[pivot * n + k] == 0)
            return 0;
        for (int64_t j = 0; pivot != k && j < n; j++) {
            double swapped = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = swapped;
        }
        det *= pivot != k ? -a[k * n + k] : a[k * n + k];
        for (int64_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / a[k * n + k];
            for (int64_t j = k + 1; j < n; j++)
                a[i * n + j] -= factor * a[k * n + j];
        }
    }
    return det;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL; /* (…, n, n) */
    GML_TRY(gml_host_require(call, 0, &x));
    if (x->rank < 2 || x->dims[x->rank - 1] != x->dims[x->rank - 2])
        return gml_host_fail(call, GML_E_SHAPE, "the last two dimensions are not equal");
    int64_t n = x->dims[x->rank - 1];
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, x->dtype, x->rank - 2, x->dims, &y));
    int64_t count = gml_tensor_numel(y);
    if (n != 0 && n > INT64_MAX / n)
        return gml_host_no_memory(call);
    double *a = count == 0 ? NULL : gml_scratch_array(scratch, double, n *n);
    if (a == NULL && count != 0)
        return gml_host_no_memory(call);
    for (int64_t i = 0; i < count; i++) {
        for (int64_t j = 0; j < n * n; j++)
            a[j] = gml_host_get_float(x, i * n * n + j);
        gml_host_put(y, i, determinant(a, n));
    }
    return GML_OK;
}

gml_status gml_host_det(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
