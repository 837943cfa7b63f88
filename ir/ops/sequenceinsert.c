#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *item = NULL;
    gml_type merged;
    GML_TRY(gml_infer_item(cx, 0, &item));
    GML_TRY(gml_infer_expect(cx, 2, GML_SET_INDEX));
    if (!gml_type_merge(cx, item, gml_operand_type(cx->node, 1), &merged))
        return gml_infer_fail(cx, GML_E_TYPE,
                              "operand 1 does not have the type of the sequence's items");
    return gml_infer_set_type(cx, 0, gml_type_sequence(cx->arena, merged));
}

/* What is at the place of the item, and the rest. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *operands[2] = {g->results[0], NULL};
    if (gml_has_operand(g->node, 2)) { /* counted from the end it was, of one item less */
        gml_value *place = gml_build_cast(b, g->node->operands[2], GML_I64);
        gml_value *zero = gml_build_scalar(b, GML_I64, 0);
        operands[1] = gml_build_where(b, gml_build_binary(b, &gml_op_less, place, zero),
                                      gml_build_add_scalar(b, place, -1), place);
    } else {
        operands[1] = gml_build_scalar(b, GML_I64, -1);
    }
    if (g->wanted[0])
        g->operands[0] = gml_build_op(b, &gml_op_sequenceerase, operands, 2, NULL, 0);
    if (g->wanted[1])
        g->operands[1] = gml_build_op(b, &gml_op_sequenceat, operands, 2, NULL, 0);
    return b->status;
}

const gml_op_info gml_op_sequenceinsert = {
    .name = "SequenceInsert",
    .doc = "The sequence with one item more.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .grad = grad,
    .host = "sequenceinsert",
};
