#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"int64_vocabulary", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"string_vocabulary", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = gml_operand_type(cx->node, 0);
    if (x->kind != GML_TYPE_MAP || x->element->kind != GML_TYPE_TENSOR)
        return gml_infer_fail(cx, GML_E_TYPE, "operand 0 is not a map");
    const gml_attr *words = gml_node_find_attr(
        cx->node, x->dtype == GML_STRING ? "string_vocabulary" : "int64_vocabulary");
    if (words == NULL)
        return gml_infer_fail(cx, GML_E_INVALID, "there is no vocabulary for these keys");
    return gml_infer_set(cx, 0, x->element->dtype, 2,
                         (const gml_dim[]){1, (gml_dim)words->count});
}

const gml_op_info gml_op_dictvectorizer = {
    .name = "DictVectorizer",
    .domain = "ai.onnx.ml",
    .doc = "The values of a map in the order of a vocabulary.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "dictvectorizer",
};
