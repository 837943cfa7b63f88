#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"cats_int64s", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"cats_strings", GML_ATTR_STRINGS, GML_ATTR_OPTIONAL},
    {"zeros", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES | GML_SET_STRING));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    const gml_attr *ints = gml_node_find_attr(cx->node, "cats_int64s");
    const gml_attr *strings = gml_node_find_attr(cx->node, "cats_strings");
    size_t count = ints != NULL && ints->count > 0 ? ints->count
                   : strings != NULL               ? strings->count
                                                   : 0;
    gml_dim dims[GML_MAX_RANK + 1];
    for (int d = 0; d < x->rank; d++)
        dims[d] = x->dims[d];
    dims[x->rank] = (gml_dim)count;
    return gml_infer_set(cx, 0, GML_F32, x->rank + 1, dims);
}

const gml_op_info gml_op_onehotencoder = {
    .name = "OneHotEncoder",
    .domain = "ai.onnx.ml",
    .doc = "A row of zeros with a one for the category.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .host = "onehotencoder",
};
