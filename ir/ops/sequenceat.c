#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *item = NULL;
    GML_TRY(gml_infer_item(cx, 0, &item));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET_INDEX));
    return gml_infer_set_type(cx, 0, gml_type_freshen(cx, item));
}

/* Zeros, but in one place. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *sequence = g->node->operands[0];
    gml_value *place = gml_build_cast(b, g->node->operands[1], GML_I64);
    gml_value *zero = gml_build_scalar(b, GML_I64, 0);
    gml_value *n = gml_build_unary(b, &gml_op_sequencelength, sequence);
    place = gml_build_where(b, gml_build_binary(b, &gml_op_less, place, zero),
                            gml_build_add(b, place, n), place);
    gml_value *rest[2] = {gml_grad_zeros_like(b, sequence), place};
    gml_value *operands[3] = {gml_build_op(b, &gml_op_sequenceerase, rest, 2, NULL, 0),
                              g->results[0], place};
    g->operands[0] = gml_build_op(b, &gml_op_sequenceinsert, operands, 3, NULL, 0);
    return b->status;
}

const gml_op_info gml_op_sequenceat = {
    .name = "SequenceAt",
    .doc = "One item of a sequence.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .grad = grad,
    .host = "sequenceat",
};
