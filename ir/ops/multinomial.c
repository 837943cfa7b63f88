#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"dtype", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 6},
    {"sample_size", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"seed", GML_ATTR_FLOAT, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    gml_dtype dtype = GML_I32;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FLOATS));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    GML_TRY(gml_infer_attr_dtype(cx, "dtype", GML_I32, GML_SET_INDEX, &dtype));
    int64_t n_samples = gml_node_int(cx->node, "sample_size", 1);
    if (x->rank != 2 || n_samples < 0 || n_samples >= GML_DIM_LIMIT)
        return gml_infer_fail(cx, GML_E_SHAPE, "rank %d is not 2, or sample_size %lld is wrong",
                              x->rank, (long long)n_samples);
    return gml_infer_set(cx, 0, dtype, 2, (const gml_dim[]){x->dims[0], n_samples});
}

const gml_op_info gml_op_multinomial = {
    .name = "Multinomial",
    .doc = "Classes drawn by their log probabilities.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_EFFECT,
    .attrs = attrs,
    .infer = infer,
    .host = "multinomial",
};
