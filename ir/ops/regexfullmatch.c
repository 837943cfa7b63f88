#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"pattern", GML_ATTR_STRING, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_STRING));
    return gml_infer_shaped(cx, 0, 0, GML_BOOL);
}

const gml_op_info gml_op_regexfullmatch = {
    .name = "RegexFullMatch",
    .doc = "Whether a regular expression matches the whole of each string.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "regexfullmatch",
};
