/* ir/ops/flatten.c - Flatten. */
#include "ir/grad.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    int64_t axis = gml_node_int(cx->node, "axis", 1);
    if (axis < -data->rank || axis > data->rank)
        return gml_infer_fail(cx, GML_E_RANGE, "axis %lld is outside rank %d", (long long)axis,
                              data->rank);
    if (axis < 0)
        axis += data->rank;
    gml_dim dims[2] = {1, 1};
    for (int i = 0; i < data->rank; i++)
        dims[i >= axis] = gml_dim_mul(cx->dims, dims[i >= axis], data->dims[i]);
    return gml_infer_set(cx, 0, data->dtype, 2, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_expr *from[GML_MAX_RANK];
    gml_reshape_index(x, gml_operand_type(node, 0), &node->results[result].type, index, from);
    return gml_at(x, 0, from);
}

const gml_op_info gml_op_flatten = {
    .name = "Flatten",
    .doc =
        "The same elements as a matrix: axes before one make its rows, the others its columns.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = gml_grad_view,
};
