#include "ir/infer_host.h"
#include "ir/ops/scatter_grad_util.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"reduction", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "none"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_ANY));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET_INDEX));
    GML_TRY(gml_infer_expect_same(cx, 0, 2));
    const gml_type *data = gml_operand_type(cx->node, 0);
    const gml_type *indices = gml_operand_type(cx->node, 1);
    int axis = 0;
    if (data->rank != GML_RANK_UNKNOWN) {
        GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 0), data->rank, &axis));
        if (indices->rank != GML_RANK_UNKNOWN && indices->rank != data->rank)
            return gml_infer_fail(cx, GML_E_SHAPE, "indices have rank %d, data has %d",
                                  indices->rank, data->rank);
    }
    return gml_infer_same(cx);
}

static gml_value *gather(gml_grad *g, gml_value *x)
{
    gml_value *operands[2] = {x, g->node->operands[1]};
    gml_attr axis = gml_attr_int("axis", gml_node_int(g->node, "axis", 0));
    return gml_build_op(&g->b, &gml_op_gatherelements, operands, 2, &axis, 1);
}

static gml_value *scatter(gml_grad *g, gml_value *data, gml_value *updates,
                          const char *reduction)
{
    gml_value *operands[3] = {data, g->node->operands[1], updates};
    gml_attr given[2] = {gml_attr_int("axis", gml_node_int(g->node, "axis", 0)),
                         gml_attr_string("reduction", reduction)};
    return gml_build_op(&g->b, &gml_op_scatterelements, operands, 3, given, 2);
}

static gml_status grad(gml_grad *g)
{
    return gml_grad_of_scatter(g, gather, scatter);
}

const gml_op_info gml_op_scatterelements = {
    .name = "ScatterElements",
    .doc = "The data with elements replaced at indices along an axis.",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "scatterelements",
};
