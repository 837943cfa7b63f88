/* ir/ops/gather.c - Gather. */
#include "ir/elementwise.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const gml_type *indices;
    int axis;
    GML_TRY(gml_infer_require(cx, 1, GML_IS_INT));
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_tensor(cx, 1, &indices));
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 0), data->rank, &axis));
    int rank = data->rank - 1 + indices->rank;
    if (rank > GML_MAX_RANK)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "rank %d is above %d", rank, GML_MAX_RANK);
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i < axis; i++)
        dims[i] = data->dims[i];
    for (int i = 0; i < indices->rank; i++)
        dims[axis + i] = indices->dims[i];
    for (int i = axis + 1; i < data->rank; i++)
        dims[indices->rank + i - 1] = data->dims[i];
    GML_TRY(gml_infer_set(cx, 0, data->dtype, rank, dims));
    if (gml_infer_is_empty(cx, data->dims[axis], gml_type_numel(cx->dims, indices)))
        return gml_infer_fail(cx, GML_E_RANGE, "axis %d has no element to gather", axis);
    return GML_OK;
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    int rank = gml_operand_rank(x, 0);
    int64_t axis = gml_node_int(node, "axis", 0);
    if (axis < 0)
        axis += rank;
    const gml_expr *which = gml_at(x, 1, index + axis);
    const gml_expr *from[GML_MAX_RANK];
    gml_copy_index(index, (int)axis, from);
    from[axis] = gml_wrap_index(x, which, gml_operand_dim(x, 0, (int)axis));
    int skip = gml_operand_rank(x, 1) - 1;
    for (int i = (int)axis + 1; i < rank; i++)
        from[i] = index[i + skip];
    return gml_at(x, 0, from);
}

const gml_op_info gml_op_gather = {
    .name = "Gather",
    .doc = "The slices of a tensor along one axis that indices name.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
};
