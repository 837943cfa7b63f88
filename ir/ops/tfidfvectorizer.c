#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"max_gram_length", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"max_skip_count", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"min_gram_length", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"mode", GML_ATTR_STRING, GML_ATTR_REQUIRED},
    {"ngram_counts", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"ngram_indexes", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"pool_int64s", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"pool_strings", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"weights", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    size_t count = 0;
    int64_t n_columns = 0;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_INDEX | GML_SET_STRING));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    const int64_t *columns = gml_node_ints(cx->node, "ngram_indexes", &count);
    for (size_t i = 0; i < count; i++) {
        if (columns[i] < 0 || columns[i] >= INT32_MAX)
            return gml_infer_fail(cx, GML_E_RANGE, "ngram_indexes has %lld",
                                  (long long)columns[i]);
        if (columns[i] >= n_columns)
            n_columns = columns[i] + 1;
    }
    if (x->rank > 2)
        return gml_infer_fail(cx, GML_E_SHAPE, "the operand has rank %d, above 2", x->rank);
    if (x->rank < 2)
        return gml_infer_set(cx, 0, GML_F32, 1, (const gml_dim[]){n_columns});
    return gml_infer_set(cx, 0, GML_F32, 2, (const gml_dim[]){x->dims[0], n_columns});
}

const gml_op_info gml_op_tfidfvectorizer = {
    .name = "TfIdfVectorizer",
    .doc = "How often the n-grams of a pool occur in each row.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .host = "tfidfvectorizer",
};
