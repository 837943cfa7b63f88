#include "ir/infer_host.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FLOATS));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    if (x->rank < 2)
        return gml_infer_fail(cx, GML_E_SHAPE, "rank %d is below 2", x->rank);
    return gml_infer_set(cx, 0, x->dtype, x->rank - 2, x->dims);
}

const gml_op_info gml_op_det = {
    .name = "Det",
    .doc = "The determinants of square matrices.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .host = "det",
};
