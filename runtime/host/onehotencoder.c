#include "runtime/host/ml_util.h"

#include <inttypes.h>
#include <string.h>

/* Integers and floats are looked up as integers. */
static int64_t find(const gml_lookup *lookup, const gml_tensor *x, int64_t i)
{
    if (gml_dtype_get_class(x->dtype) != GML_CLASS_FLOAT)
        return gml_lookup_find(lookup, x, i);
    int64_t number = gml_host_get_int(x, i);
    gml_tensor one = {.dtype = GML_I64, .data = &number};
    return gml_lookup_find(lookup, &one, 0);
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL;
    gml_tensor categories = {0};
    gml_lookup lookup = {0};
    GML_TRY(gml_host_require(call, 0, &x));
    if (!gml_host_attr_vector(call, "cats_int64s", &categories) || categories.dims[0] == 0) {
        if (!gml_host_attr_vector(call, "cats_strings", &categories))
            return gml_host_fail(call, GML_E_INVALID, "there are no categories");
    }
    if (x->rank >= GML_MAX_RANK)
        return gml_host_fail(call, GML_E_SHAPE, "rank %d is above %d", x->rank + 1,
                             GML_MAX_RANK);
    GML_TRY(gml_lookup_init(&lookup, call, &categories, scratch));
    gml_tensor shape = *x;
    shape.dims[shape.rank++] = categories.dims[0];
    GML_TRY(gml_host_alloc(call, 0, GML_F32, shape.rank, shape.dims, &y));
    memset(y->data, 0, (size_t)gml_tensor_numel(y) * sizeof(float));
    for (int64_t i = 0; i < gml_tensor_numel(x); i++) {
        int64_t found = find(&lookup, x, i);
        if (found >= 0)
            gml_host_put(y, i * categories.dims[0] + found, 1);
        else if (gml_host_int(call, "zeros", 1) == 0)
            return gml_host_fail(call, GML_E_RANGE, "element %" PRId64 " is no category", i);
    }
    return GML_OK;
}

gml_status gml_host_onehotencoder(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
