#include "ir/infer_host.h"

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_STRING));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET_STRING));
    return gml_infer_broadcast(cx);
}

const gml_op_info gml_op_stringconcat = {
    .name = "StringConcat",
    .doc = "Strings joined, element by element.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .host = "stringconcat",
};
