#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"exclusive", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"reverse", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_NUMBERS));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET_INDEX));
    return gml_infer_same(cx);
}

const gml_op_info gml_op_cumsum = {
    .name = "CumSum",
    .doc = "Running sums along an axis.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "cumsum",
};
