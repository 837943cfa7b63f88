#include "ir/infer_host.h"

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

const gml_op_info gml_op_sequenceinsert = {
    .name = "SequenceInsert",
    .doc = "The sequence with one item more.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .host = "sequenceinsert",
};
