#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = -2},
    {"mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "linear"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_ANY));
    GML_TRY(gml_infer_expect_same(cx, 0, 1));
    GML_TRY(gml_infer_expect(cx, 2, GML_SET(I64)));
    const gml_type *past = gml_operand_type(cx->node, 0);
    int axis = 0;
    if (past->rank != GML_RANK_UNKNOWN)
        GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", -2), past->rank, &axis));
    return gml_infer_same(cx);
}

const gml_op_info gml_op_tensorscatter = {
    .name = "TensorScatter",
    .doc = "A cache with new entries written along its sequence axis.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "tensorscatter",
};
