/* ir/ops/eyelike.c - EyeLike. */
#include "ir/elementwise.h"
#include "ir/grad.h"

static const gml_attr_spec attrs[] = {
    {"dtype", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"k", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    if (data->rank != 2)
        return gml_infer_fail(cx, GML_E_SHAPE, "operand 0 has rank %d, not 2", data->rank);
    int64_t dtype = gml_node_int(cx->node, "dtype", (int64_t)data->dtype);
    if (dtype <= GML_NONE || dtype >= GML_DTYPE_COUNT ||
        !((GML_IS_NUMBER | GML_IS_BOOL) >> gml_dtype_get_class((gml_dtype)dtype) & 1u))
        return gml_infer_fail(cx, GML_E_TYPE, "dtype is %lld, which is no type of numbers",
                              (long long)dtype);
    return gml_infer_set(cx, 0, (gml_dtype)dtype, 2, data->dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_expr *k = gml_i64(x, gml_node_int(node, "k", 0));
    const gml_expr *on = gml_eq(x, gml_sub(x, index[1], index[0]), k);
    return gml_cast(x, on, gml_result_dtype(x, result));
}

const gml_op_info gml_op_eyelike = {
    .name = "EyeLike",
    .doc = "A matrix of a tensor's shape with ones on a diagonal and zeros elsewhere.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VALUE_FREE,
    .attrs = attrs,
    .infer = infer,
    .grad = gml_grad_none,
    .lower = lower,
};
