#include "runtime/host/host_util.h"

static bool is_nonzero(const gml_tensor *x, int64_t i)
{
    switch (gml_dtype_get_class(x->dtype)) {
    case GML_CLASS_FLOAT: return gml_host_get_float(x, i) != 0;
    case GML_CLASS_STRING: return gml_strings_of(x)[i].len != 0;
    case GML_CLASS_COMPLEX: {
        gml_tensor parts = {.dtype = x->dtype == GML_C64 ? GML_F32 : GML_F64, .data = x->data};
        return gml_host_get_float(&parts, 2 * i) != 0 ||
               gml_host_get_float(&parts, 2 * i + 1) != 0;
    }
    case GML_CLASS_SIGNED:
    case GML_CLASS_UNSIGNED:
    case GML_CLASS_BOOL:
    case GML_CLASS_NONE: break;
    }
    return gml_host_get_int(x, i) != 0;
}

/* Result (rank, count): column j is the position of the j-th element that is not zero. */
gml_status gml_host_nonzero(gml_host_call *call)
{
    const gml_tensor *x = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    int64_t numel = gml_tensor_numel(x);
    int64_t count = 0;
    for (int64_t i = 0; i < numel; i++)
        count += is_nonzero(x, i);
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, GML_I64, 2, (const int64_t[]){x->rank, count}, &y));
    int64_t *out = y->data;
    int64_t position[GML_MAX_RANK] = {0};
    for (int64_t i = 0, j = 0; i < numel; i++) {
        if (is_nonzero(x, i)) {
            for (int axis = 0; axis < x->rank; axis++)
                out[axis * count + j] = position[axis];
            j++;
        }
        for (int axis = x->rank - 1; axis >= 0; axis--) {
            if (++position[axis] < x->dims[axis])
                break;
            position[axis] = 0;
        }
    }
    return GML_OK;
}
