/* runtime/host/maxunpool.c - puts pooled elements back where MaxPool found them.
 *
 * Indices count in the shape that kernel, strides and pads imply; an explicit output shape
 * places that block at the origin of a larger tensor. */
#include "runtime/host/host_util.h"

#include <inttypes.h>
#include <string.h>

/* Spatial size before pooling: (size - 1) * stride - pads + kernel. */
static gml_status infer_dims(gml_host_call *call, const gml_tensor *x, int64_t *dims)
{
    size_t n_kernel = 0;
    size_t n_strides = 0;
    size_t n_pads = 0;
    const int64_t *kernel = gml_host_ints(call, "kernel_shape", &n_kernel);
    const int64_t *strides = gml_host_ints(call, "strides", &n_strides);
    const int64_t *pads = gml_host_ints(call, "pads", &n_pads);
    size_t n = x->rank < 2 ? 0 : (size_t)x->rank - 2;
    if (n == 0 || n_kernel != n || (strides != NULL && n_strides != n) ||
        (pads != NULL && n_pads != 2 * n))
        return gml_host_fail(call, GML_E_SHAPE,
                             "kernel_shape, strides or pads do not fit rank %d", x->rank);
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[i];
    for (size_t i = 0; i < n; i++) {
        int64_t stride = strides == NULL ? 1 : strides[i];
        int64_t before = 0;
        int64_t size = x->dims[i + 2] - 1;
        if (__builtin_mul_overflow(size, stride, &size) ||
            __builtin_add_overflow(size, kernel[i], &size) ||
            (pads != NULL && (__builtin_add_overflow(pads[i], pads[n + i], &before) ||
                              __builtin_sub_overflow(size, before, &size))) ||
            size < 0)
            return gml_host_fail(call, GML_E_SHAPE,
                                 "stride, kernel and pads of axis %zu give no size", i + 2);
        dims[i + 2] = size;
    }
    return GML_OK;
}

static gml_status read_shape(gml_host_call *call, int rank, const int64_t *least, int64_t *dims)
{
    const gml_tensor *shape = gml_host_tensor(call, 2);
    if (shape == NULL)
        return GML_OK;
    if (gml_tensor_numel(shape) != rank)
        return gml_host_fail(call, GML_E_SHAPE, "output_shape does not have %d entries", rank);
    for (int i = 0; i < rank; i++) {
        dims[i] = gml_host_get_int(shape, i);
        if (dims[i] < least[i])
            return gml_host_fail(call, GML_E_RANGE,
                                 "output_shape has %" PRId64 " along axis %d, below %" PRId64,
                                 dims[i], i, least[i]);
    }
    return GML_OK;
}

gml_status gml_host_maxunpool(gml_host_call *call)
{
    const gml_tensor *x = NULL;
    const gml_tensor *indices = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(gml_host_require(call, 1, &indices));
    gml_tensor inner = *x;
    int64_t dims[GML_MAX_RANK];
    GML_TRY(infer_dims(call, x, inner.dims));
    memcpy(dims, inner.dims, sizeof dims);
    GML_TRY(read_shape(call, x->rank, inner.dims, dims));
    if (gml_tensor_numel(indices) != gml_tensor_numel(x))
        return gml_host_fail(call, GML_E_SHAPE, "there is not one index per element");
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, x->dtype, x->rank, dims, &y));
    memset(y->data, 0, (size_t)gml_tensor_numel(y) * gml_dtype_size(y->dtype));
    int64_t limit = gml_tensor_numel(&inner);
    for (int64_t i = 0; i < gml_tensor_numel(x); i++) {
        int64_t flat = gml_host_get_int(indices, i);
        if (flat < 0 || flat >= limit)
            return gml_host_fail(call, GML_E_RANGE,
                                 "index %" PRId64 " is outside %" PRId64 " elements", flat,
                                 limit);
        int64_t to = 0;
        int64_t stride = 1;
        for (int axis = x->rank - 1; axis >= 0; axis--) {
            to += flat % inner.dims[axis] * stride;
            flat /= inner.dims[axis];
            stride *= dims[axis];
        }
        gml_host_copy(y, to, x, i, 1);
    }
    return GML_OK;
}
