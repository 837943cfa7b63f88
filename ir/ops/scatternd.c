#include "ir/infer_host.h"
#include "ir/ops/scatter_grad_util.h"

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

static gml_value *gather(gml_grad *g, gml_value *x)
{
    gml_value *operands[2] = {x, g->node->operands[1]};
    return gml_build_op(&g->b, &gml_op_gathernd, operands, 2, NULL, 0);
}

static gml_value *scatter(gml_grad *g, gml_value *data, gml_value *updates,
                          const char *reduction)
{
    gml_value *operands[3] = {data, g->node->operands[1], updates};
    gml_attr given = gml_attr_string("reduction", reduction);
    return gml_build_op(&g->b, &gml_op_scatternd, operands, 3, &given, 1);
}

static gml_status grad(gml_grad *g)
{
    return gml_grad_of_scatter(g, gather, scatter);
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
    .grad = grad,
    .host = "scatternd",
};
