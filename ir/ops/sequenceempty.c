#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"dtype", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    gml_dtype dtype = GML_F32;
    GML_TRY(gml_infer_attr_dtype(cx, "dtype", GML_F32, GML_SET_ANY, &dtype));
    return gml_infer_set_type(cx, 0, gml_type_sequence(cx->arena, gml_type_unranked(dtype)));
}

const gml_op_info gml_op_sequenceempty = {
    .name = "SequenceEmpty",
    .doc = "A sequence without items.",
    .min_in = 0,
    .max_in = 0,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "sequenceempty",
};
