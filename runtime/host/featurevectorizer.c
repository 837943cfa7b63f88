#include "runtime/host/ml_util.h"

/* Joins the operands' features row by row; inputdimensions cuts or fills each operand's up. */
gml_status gml_host_featurevectorizer(gml_host_call *call)
{
    size_t n_widths = 0;
    const int64_t *widths = gml_host_ints(call, "inputdimensions", &n_widths);
    int64_t total = 0;
    int64_t rows = 0;
    for (unsigned k = 0; k < call->n_inputs; k++) {
        const gml_tensor *x = NULL;
        GML_TRY(gml_host_require(call, k, &x));
        int64_t width = k < n_widths ? widths[k] : (x->rank == 2 ? x->dims[1] : 1);
        if (x->rank < 1 || x->rank > 2 || (k > 0 && x->dims[0] != rows) || width < 0 ||
            __builtin_add_overflow(total, width, &total))
            return gml_host_fail(call, GML_E_SHAPE,
                                 "operand %u does not fit the others or its width", k);
        rows = x->dims[0];
    }
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, GML_F32, 2, (const int64_t[]){rows, total}, &y));
    int64_t at = 0;
    for (unsigned k = 0; k < call->n_inputs && gml_tensor_numel(y) > 0; k++) {
        const gml_tensor *x = &call->inputs[k].tensor;
        int64_t given = x->rank == 2 ? x->dims[1] : 1;
        int64_t width = k < n_widths ? widths[k] : given;
        for (int64_t i = 0; i < rows * width; i++) {
            int64_t row = i / width;
            int64_t column = i % width;
            gml_host_put(y, row * total + at + column,
                         column < given ? gml_host_get_float(x, row * given + column) : 0);
        }
        at += width;
    }
    return GML_OK;
}
