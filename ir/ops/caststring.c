#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"to", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"saturate", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"round_mode", GML_ATTR_STRING, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const uint32_t castable = GML_SET_ANY & ~(GML_SET(NONE) | GML_SET(C64) | GML_SET(C128));
    gml_dtype to = GML_NONE;
    GML_TRY(gml_infer_expect(cx, 0, castable));
    GML_TRY(gml_infer_attr_dtype(cx, "to", GML_NONE, castable, &to));
    if (to != GML_STRING && gml_operand_type(cx->node, 0)->dtype != GML_STRING)
        return gml_infer_fail(cx, GML_E_TYPE, "neither side of the cast is a string");
    return gml_infer_shaped(cx, 0, 0, to);
}

const gml_op_info gml_op_caststring = {
    .name = "CastString",
    .domain = "gemel",
    .doc = "Numbers as text, or text as numbers.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "cast_string",
};
