#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"reduction", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "none"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_ANY));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET(I64)));
    GML_TRY(gml_infer_expect_same(cx, 0, 2));
    return gml_infer_same(cx);
}

const gml_op_info gml_op_scatternd = {
    .name = "ScatterND",
    .doc = "The data with slices replaced at index tuples.",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "scatternd",
};
