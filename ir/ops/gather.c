/* ir/ops/gather.c - Gather. */
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

/* The gradient of one slice whose number is known: zeros before and after it. False when it is
 * not. */
static bool grad_of_slice(gml_grad *g, int64_t axis)
{
    const gml_type *data = &g->node->operands[0]->type;
    size_t count = 0;
    const gml_dim *which =
        gml_value_elements(g->node->operands[1], &g->node->graph->module->arena, &count);
    gml_dim size = data->dims[axis];
    if (!which || count != 1 || !gml_dim_is_const(which[0]) || !gml_dim_is_const(size))
        return false;
    gml_dim at = which[0] < 0 ? which[0] + size : which[0];
    if (at < 0 || at >= size)
        return false;
    gml_dim dims[GML_MAX_RANK];
    gml_dim pads[2 * GML_MAX_RANK] = {0};
    for (int d = 0; d < data->rank; d++)
        dims[d] = d == axis ? 1 : data->dims[d];
    pads[axis] = at;
    pads[data->rank + axis] = size - 1 - at;
    gml_value *slice = gml_build_reshape(&g->b, g->results[0], dims, (size_t)data->rank);
    g->operands[0] = size == 1 ? slice : gml_build_pad(&g->b, slice, pads);
    return true;
}

/* Each slice's gradient is added where the slice came from. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *data = g->node->operands[0];
    gml_value *which = g->node->operands[1];
    int64_t axis = gml_node_int(g->node, "axis", 0);
    axis += axis < 0 ? data->type.rank : 0;
    if (grad_of_slice(g, axis))
        return b->status;
    gml_dim_pool *pool = &g->node->graph->module->dims;
    gml_dim n = gml_type_numel(pool, &which->type);
    gml_dim line[GML_MAX_RANK];
    gml_dim all[GML_MAX_RANK];
    size_t rank = (size_t)data->type.rank;
    for (size_t d = 0; d < rank; d++) {
        line[d] = d == (size_t)axis ? n : 1;
        all[d] = d == (size_t)axis ? n : data->type.dims[d];
    }
    gml_value *updates = g->results[0];
    gml_value *indices = gml_build_cast(b, which, GML_I64);
    if (which->type.rank == 1) { /* whose length may be known to the run alone */
        int64_t others[GML_MAX_RANK];
        size_t n_others = 0;
        for (size_t d = 0; d < rank; d++)
            if (d != (size_t)axis)
                others[n_others++] = (int64_t)d;
        if (n_others > 0)
            indices = gml_build_unsqueeze(b, indices, others, n_others);
    } else {
        updates = gml_build_reshape(b, updates, all, rank);
        indices = gml_build_reshape(b, indices, line, rank);
    }
    indices = gml_grad_expand_like(b, indices, updates);
    gml_value *zeros = gml_grad_zeros_like(b, data);
    gml_value *operands[3] = {zeros, indices, updates};
    gml_attr attrs_of[2] = {gml_attr_int("axis", axis), gml_attr_string("reduction", "add")};
    g->operands[0] = gml_build_op(b, &gml_op_scatterelements, operands, 3, attrs_of, 2);
    return b->status;
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
    .grad = grad,
};
