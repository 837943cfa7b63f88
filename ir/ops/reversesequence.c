#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"batch_axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"time_axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_ANY));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET(I64)));
    const gml_type *x = gml_operand_type(cx->node, 0);
    if (x->rank != GML_RANK_UNKNOWN && x->rank < 2)
        return gml_infer_fail(cx, GML_E_SHAPE, "rank %d is below 2", x->rank);
    return gml_infer_same(cx);
}

/* Reversing again puts everything back. */
static gml_status grad(gml_grad *g)
{
    gml_value *operands[2] = {g->results[0], g->node->operands[1]};
    g->operands[0] = gml_build_op(&g->b, &gml_op_reversesequence, operands, 2, g->node->attrs,
                                  g->node->n_attrs);
    return g->b.status;
}

const gml_op_info gml_op_reversesequence = {
    .name = "ReverseSequence",
    .doc = "The first steps of each batch entry in reverse order.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "reversesequence",
};
