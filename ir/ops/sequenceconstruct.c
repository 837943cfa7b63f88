#include "ir/grad.h"
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

static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    for (uint32_t k = 0; k < g->node->n_operands; k++) {
        gml_value *operands[2] = {g->results[0], gml_build_scalar(b, GML_I64, k)};
        if (g->wanted[k])
            g->operands[k] = gml_build_op(b, &gml_op_sequenceat, operands, 2, NULL, 0);
    }
    return b->status;
}

const gml_op_info gml_op_sequenceconstruct = {
    .name = "SequenceConstruct",
    .doc = "A sequence of the operands.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .grad = grad,
    .host = "sequenceconstruct",
};
