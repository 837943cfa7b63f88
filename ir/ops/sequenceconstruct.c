#include "ir/infer_host.h"

static gml_status infer(gml_infer *cx)
{
    gml_type item = {GML_TYPE_UNKNOWN};
    for (unsigned k = 0; k < cx->node->n_operands; k++) {
        const gml_type *type = gml_operand_type(cx->node, k);
        if (type == NULL || !gml_type_merge(cx, &item, type, &item))
            return gml_infer_fail(cx, GML_E_TYPE,
                                  "operand %u does not have the type of the first", k);
    }
    return gml_infer_set_type(cx, 0, gml_type_sequence(cx->arena, item));
}

const gml_op_info gml_op_sequenceconstruct = {
    .name = "SequenceConstruct",
    .doc = "A sequence of the operands.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .host = "sequenceconstruct",
};
