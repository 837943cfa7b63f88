/* ir/ops/gatherelements.c - GatherElements. */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"
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
    if (indices->rank != data->rank)
        return gml_infer_fail(cx, GML_E_SHAPE, "the indices have rank %d, the data %d",
                              indices->rank, data->rank);
    for (int i = 0; i < data->rank; i++) {
        if (i != axis && gml_infer_exceeds(cx, indices->dims[i], data->dims[i]))
            return gml_infer_fail(cx, GML_E_SHAPE, "axis %d has %lld indices for size %lld", i,
                                  (long long)indices->dims[i], (long long)data->dims[i]);
    }
    if (gml_infer_is_empty(cx, data->dims[axis], gml_type_numel(cx->dims, indices)))
        return gml_infer_fail(cx, GML_E_RANGE, "axis %d has no element to gather", axis);
    return gml_infer_set(cx, 0, data->dtype, indices->rank, indices->dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    int rank = gml_operand_rank(x, 0);
    int64_t axis = gml_node_int(node, "axis", 0);
    if (axis < 0)
        axis += rank;
    const gml_expr *from[GML_MAX_RANK];
    gml_copy_index(index, rank, from);
    from[axis] = gml_wrap_index(x, gml_at(x, 1, index), gml_operand_dim(x, 0, (int)axis));
    return gml_at(x, 0, from);
}

/* Each element's gradient is added where the element came from. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *operands[3] = {gml_grad_zeros_like(b, g->node->operands[0]),
                              gml_build_cast(b, g->node->operands[1], GML_I64), g->results[0]};
    gml_attr attrs_of[2] = {gml_attr_int("axis", gml_node_int(g->node, "axis", 0)),
                            gml_attr_string("reduction", "add")};
    g->operands[0] = gml_build_op(b, &gml_op_scatterelements, operands, 3, attrs_of, 2);
    return b->status;
}

const gml_op_info gml_op_gatherelements = {
    .name = "GatherElements",
    .doc =
        "For each index its element of the tensor, at the index' own place along other axes.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
