#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"case_change_action", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "NONE"},
    {"is_case_sensitive", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"locale", GML_ATTR_STRING, GML_ATTR_OPTIONAL},
    {"stopwords", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_STRING));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    gml_dim dims[2] = {1, gml_dim_fresh(cx->dims, "words")};
    if (x->rank == 1)
        return gml_infer_set(cx, 0, GML_STRING, 1, &dims[1]);
    if (x->rank == 2)
        return gml_infer_set(cx, 0, GML_STRING, 2, dims);
    return gml_infer_fail(cx, GML_E_SHAPE, "the operand has rank %d, not 1 or 2", x->rank);
}

const gml_op_info gml_op_stringnormalizer = {
    .name = "StringNormalizer",
    .doc = "Words without stop words, in another case.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "stringnormalizer",
};
