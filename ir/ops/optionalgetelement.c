#include "ir/grad.h"
#include "ir/infer_host.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *type = gml_operand_type(cx->node, 0);
    return gml_infer_set_type(cx, 0, type->kind == GML_TYPE_OPTIONAL ? *type->element : *type);
}

const gml_op_info gml_op_optionalgetelement = {
    .name = "OptionalGetElement",
    .doc = "The element of an optional; another value as it is.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .grad = gml_grad_same,
    .host = "optionalgetelement",
};
