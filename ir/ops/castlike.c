/* ir/ops/castlike.c - CastLike: a Cast to the type of another tensor's elements. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"saturate", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"round_mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "up"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    unsigned castable = GML_IS_NUMBER | GML_IS_BOOL | GML_IS_STRING;
    for (unsigned k = 0; k < 2; k++)
        GML_TRY(gml_infer_require(cx, k, castable));
    gml_type type = *gml_operand_type(cx->node, 0);
    type.dtype = gml_operand_type(cx->node, 1)->dtype;
    return gml_infer_set_type(cx, 0, type);
}

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    gml_attr round = {.name = "round_mode", .kind = GML_ATTR_STRING};
    round.as.s = gml_node_string(cx->node, "round_mode");
    gml_attr to[] = {
        gml_attr_int("to", (int64_t)cx->node->results[0].type.dtype),
        gml_attr_int("saturate", gml_node_int(cx->node, "saturate", 1)),
        round,
    };
    cx->results[0] = gml_build_op(&b, &gml_op_cast, cx->node->operands, 1, to, 3);
    return b.status;
}

const gml_op_info gml_op_castlike = {
    .name = "CastLike",
    .doc = "Each element as the type of another tensor's elements.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
