#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"type", GML_ATTR_TYPE, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_attr *type = gml_node_find_attr(cx->node, "type");
    if (gml_has_operand(cx->node, 0))
        return gml_infer_set_type(cx, 0,
                                  gml_type_optional(cx->arena, *gml_operand_type(cx->node, 0)));
    if (type == NULL)
        return gml_infer_fail(cx, GML_E_INVALID,
                              "there is neither an operand nor the attribute 'type'");
    return gml_infer_set_type(cx, 0, gml_type_optional(cx->arena, *type->as.type));
}

const gml_op_info gml_op_optional = {
    .name = "Optional",
    .doc = "An optional with the operand as its element, or without element.",
    .min_in = 0,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_same,
    .host = "optional",
};
