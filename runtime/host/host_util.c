#include "runtime/host/host_util.h"

#include <inttypes.h>
#include <string.h>

gml_status gml_host_with_scratch(gml_host_call *call,
                                 gml_status (*body)(gml_host_call *call, gml_scratch *scratch))
{
    gml_scratch scratch = {0};
    gml_status status = body(call, &scratch);
    gml_scratch_reset(&scratch);
    return status;
}

gml_status gml_host_no_memory(gml_host_call *call)
{
    return gml_host_fail(call, GML_E_MEMORY, "out of memory");
}

const gml_tensor *gml_host_tensor(const gml_host_call *call, unsigned k)
{
    if (k >= call->n_inputs || call->inputs[k].kind != GML_RVALUE_TENSOR)
        return NULL;
    return &call->inputs[k].tensor;
}

gml_status gml_host_require(gml_host_call *call, unsigned k, const gml_tensor **out_tensor)
{
    *out_tensor = gml_host_tensor(call, k);
    if (*out_tensor == NULL)
        return gml_host_fail(call, GML_E_TYPE, "operand %u is no tensor", k);
    return GML_OK;
}

gml_status gml_host_scalar_int(gml_host_call *call, unsigned k, int64_t fallback,
                               int64_t *out_value)
{
    *out_value = fallback;
    if (!gml_host_has(call, k))
        return GML_OK;
    const gml_tensor *tensor = NULL;
    GML_TRY(gml_host_require(call, k, &tensor));
    if (gml_tensor_numel(tensor) < 1)
        return gml_host_fail(call, GML_E_SHAPE, "operand %u has no element", k);
    *out_value = gml_host_get_int(tensor, 0);
    return GML_OK;
}

const int64_t *gml_host_ints(const gml_host_call *call, const char *name, size_t *out_count)
{
    const gml_attr *attr = gml_host_attr(call, name);
    bool is_there = attr != NULL && attr->kind == GML_ATTR_INTS;
    *out_count = is_there ? attr->count : 0;
    return is_there ? attr->as.ints : NULL;
}

const float *gml_host_floats(const gml_host_call *call, const char *name, size_t *out_count)
{
    const gml_attr *attr = gml_host_attr(call, name);
    bool is_there = attr != NULL && attr->kind == GML_ATTR_FLOATS;
    *out_count = is_there ? attr->count : 0;
    return is_there ? attr->as.floats : NULL;
}

const gml_string *gml_host_attr_strings(const gml_host_call *call, const char *name,
                                        size_t *out_count)
{
    const gml_attr *attr = gml_host_attr(call, name);
    bool is_there = attr != NULL && attr->kind == GML_ATTR_STRINGS;
    *out_count = is_there ? attr->count : 0;
    return is_there ? attr->as.strings : NULL;
}

const gml_tensor *gml_host_attr_tensor(const gml_host_call *call, const char *name)
{
    const gml_attr *attr = gml_host_attr(call, name);
    return attr != NULL && attr->kind == GML_ATTR_TENSOR ? attr->as.t : NULL;
}

static gml_status result_status(gml_host_call *call, gml_status status)
{
    if (status == GML_E_MEMORY)
        return gml_host_no_memory(call);
    if (status == GML_E_SHAPE)
        return gml_host_fail(call, status, "the size of a result overflows or is negative");
    return status;
}

gml_status gml_host_alloc(gml_host_call *call, unsigned i, gml_dtype dtype, int rank,
                          const int64_t *dims, const gml_tensor **out_tensor)
{
    gml_rvalue_reset(&call->outputs[i]);
    *out_tensor = &call->outputs[i].tensor;
    return result_status(call, gml_rvalue_alloc(&call->outputs[i], dtype, rank, dims));
}

gml_status gml_host_set_strings(gml_host_call *call, unsigned i, int rank, const int64_t *dims,
                                const gml_string *strings)
{
    gml_rvalue_reset(&call->outputs[i]);
    return result_status(call, gml_rvalue_strings(&call->outputs[i], rank, dims, strings));
}

gml_status gml_host_set_copy(gml_host_call *call, unsigned i, const gml_rvalue *value)
{
    gml_rvalue_reset(&call->outputs[i]);
    return result_status(call, gml_rvalue_copy(&call->outputs[i], value));
}

gml_status gml_host_own_strings(gml_host_call *call, gml_rvalue *value)
{
    if (value->kind != GML_RVALUE_TENSOR || value->tensor.dtype != GML_STRING)
        return GML_OK;
    gml_rvalue owned = {0};
    GML_TRY(
        result_status(call, gml_rvalue_strings(&owned, value->tensor.rank, value->tensor.dims,
                                               gml_strings_of(&value->tensor))));
    gml_rvalue_reset(value);
    *value = owned;
    return GML_OK;
}

gml_status gml_host_axis(gml_host_call *call, int64_t axis, int rank, int *out_axis)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return gml_host_fail(call, GML_E_RANGE, "axis %" PRId64 " is outside rank %d", axis,
                             rank);
    *out_axis = (int)(axis < 0 ? axis + rank : axis);
    return GML_OK;
}

gml_status gml_host_index(gml_host_call *call, int64_t index, int64_t size, int64_t *out_index)
{
    if (index < -size || index >= size)
        return gml_host_fail(call, GML_E_RANGE,
                             "index %" PRId64 " is outside a dimension of %" PRId64, index,
                             size);
    *out_index = index < 0 ? index + size : index;
    return GML_OK;
}

int64_t gml_dims_product(const gml_tensor *tensor, int from, int to)
{
    gml_tensor part = {.dtype = tensor->dtype, .rank = to > from ? to - from : 0};
    for (int i = 0; i < part.rank; i++)
        part.dims[i] = tensor->dims[from + i];
    return gml_tensor_numel(&part);
}

void gml_host_copy(const gml_tensor *to, int64_t to_index, const gml_tensor *from,
                   int64_t from_index, int64_t count)
{
    size_t size = gml_dtype_size(from->dtype);
    if (count > 0)
        memcpy((char *)to->data + (size_t)to_index * size,
               (const char *)from->data + (size_t)from_index * size, (size_t)count * size);
}

bool gml_string_equal(gml_string a, gml_string b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

int gml_string_compare(gml_string a, gml_string b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.data, b.data, len);
    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}
