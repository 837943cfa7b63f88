/* ir/ops/identity.c - Identity: of any type; its users read the operand itself. */
#include "ir/op.h"

static gml_status expand(gml_expand *cx)
{
    cx->results[0] = cx->node->operands[0];
    return GML_OK;
}

const gml_op_info gml_op_identity = {
    .name = "Identity",
    .doc = "Its operand.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW | GML_FORWARDS,
    .infer = gml_infer_same,
    .expand = expand,
};
