#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"center_point_box", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    for (unsigned k = 0; k < 5; k++)
        GML_TRY(gml_infer_expect(cx, k, k == 2 ? GML_SET(I64) : GML_SET_FLOATS));
    return gml_infer_set(cx, 0, GML_I64, 2,
                         (const gml_dim[]){gml_dim_fresh(cx->dims, "boxes"), 3});
}

const gml_op_info gml_op_nonmaxsuppression = {
    .name = "NonMaxSuppression",
    .doc = "Boxes in the order of their scores, without those that overlap a better one.",
    .min_in = 2,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "nonmaxsuppression",
};
