#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"dtype", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"mean", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {"scale", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1},
    {"seed", GML_ATTR_FLOAT, GML_ATTR_OPTIONAL},
    {"shape", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    gml_dtype dtype = GML_F32;
    size_t rank = 0;
    const int64_t *shape = gml_node_ints(cx->node, "shape", &rank);
    GML_TRY(gml_infer_attr_dtype(cx, "dtype", GML_F32, GML_SET_FLOATS, &dtype));
    for (size_t d = 0; d < rank; d++) {
        if (shape[d] < 0 || shape[d] >= GML_DIM_LIMIT)
            return gml_infer_fail(cx, GML_E_SHAPE, "shape has %lld", (long long)shape[d]);
    }
    if (rank > GML_MAX_RANK)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "rank %zu is above the limit of %d", rank,
                              GML_MAX_RANK);
    return gml_infer_set(cx, 0, dtype, (int)rank, shape);
}

const gml_op_info gml_op_randomnormal = {
    .name = "RandomNormal",
    .doc = "Normally distributed numbers.",
    .min_in = 0,
    .max_in = 0,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_EFFECT,
    .attrs = attrs,
    .infer = infer,
    .host = "randomnormal",
};
