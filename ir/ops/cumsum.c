#include "ir/grad.h"
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

/* Each element is in all sums from its own on, so sums of the gradients run the other way. */
static gml_status grad(gml_grad *g)
{
    gml_value *operands[2] = {g->results[0], g->node->operands[1]};
    gml_attr given[2] = {gml_attr_int("exclusive", gml_node_int(g->node, "exclusive", 0)),
                         gml_attr_int("reverse", !gml_node_int(g->node, "reverse", 0))};
    g->operands[0] = gml_build_op(&g->b, &gml_op_cumsum, operands, 2, given, 2);
    return g->b.status;
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
    .grad = grad,
    .host = "cumsum",
};
