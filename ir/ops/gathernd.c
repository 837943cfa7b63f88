/* ir/ops/gathernd.c - GatherND: rows of the last axis of the indices are positions in the data.
 */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"batch_dims", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const gml_type *indices;
    GML_TRY(gml_infer_require(cx, 1, GML_IS_INT));
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_tensor(cx, 1, &indices));
    int64_t batch = gml_node_int(cx->node, "batch_dims", 0);
    if (batch < 0 || batch >= indices->rank || batch > data->rank)
        return gml_infer_fail(cx, GML_E_RANGE, "batch_dims is %lld for ranks %d and %d",
                              (long long)batch, data->rank, indices->rank);
    gml_dim depth = indices->dims[indices->rank - 1];
    if (!gml_dim_is_const(depth))
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "the length of a position is not known");
    if (depth > data->rank - batch)
        return gml_infer_fail(cx, GML_E_SHAPE, "positions have %lld entries for %lld axes",
                              (long long)depth, (long long)(data->rank - batch));
    int used = (int)(batch + depth);
    int rank = indices->rank - 1 + data->rank - used;
    if (rank > GML_MAX_RANK)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "rank %d is above %d", rank, GML_MAX_RANK);
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i + 1 < indices->rank; i++)
        dims[i] = indices->dims[i];
    for (int i = used; i < data->rank; i++)
        dims[indices->rank - 1 + i - used] = data->dims[i];
    for (int i = 0; i < batch; i++) {
        if (gml_infer_differ(cx, data->dims[i], dims[i]))
            return gml_infer_fail(cx, GML_E_SHAPE, "batch axis %d has sizes %lld and %lld", i,
                                  (long long)data->dims[i], (long long)dims[i]);
    }
    GML_TRY(gml_infer_set(cx, 0, data->dtype, rank, dims));
    for (int i = (int)batch; i < used; i++)
        if (gml_infer_is_empty(cx, data->dims[i], gml_type_numel(cx->dims, indices)))
            return gml_infer_fail(cx, GML_E_RANGE, "axis %d has no element to gather", i);
    return GML_OK;
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    int batch = (int)gml_node_int(node, "batch_dims", 0);
    int rows = gml_operand_rank(x, 1) - 1;
    int depth = (int)gml_operand_dim(x, 1, rows);
    const gml_expr *position[GML_MAX_RANK];
    const gml_expr *from[GML_MAX_RANK];
    gml_copy_index(index, rows, position);
    gml_copy_index(index, batch, from);
    for (int i = 0; i < depth; i++) {
        position[rows] = gml_i64(x, i);
        gml_dim size = gml_operand_dim(x, 0, batch + i);
        from[batch + i] = gml_wrap_index(x, gml_at(x, 1, position), size);
    }
    for (int i = batch + depth; i < gml_operand_rank(x, 0); i++)
        from[i] = index[rows + i - batch - depth];
    return gml_at(x, 0, from);
}

/* The positions with those in the batch in front. */
static gml_value *whole_positions(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *which = gml_build_cast(b, g->node->operands[1], GML_I64);
    int batch = (int)gml_node_int(g->node, "batch_dims", 0);
    int last = which->type.rank - 1;
    gml_value *parts[GML_MAX_RANK + 1];
    if (batch == 0)
        return which;
    gml_value *column = gml_build_slice(b, which, last, 0, 1);
    for (int d = 0; d < batch; d++) {
        gml_dim line[GML_MAX_RANK];
        for (int i = 0; i <= last; i++)
            line[i] = i == d ? which->type.dims[d] : 1;
        gml_value *range = gml_build_range(b, which->type.dims[d]);
        range = gml_build_reshape(b, range, line, (size_t)last + 1);
        parts[d] = gml_grad_expand_like(b, range, column);
    }
    parts[batch] = which;
    return gml_build_concat(b, parts, (uint32_t)batch + 1, last);
}

/* Each slice's gradient is added where the slice came from. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    const gml_value *data = g->node->operands[0];
    gml_value *operands[3] = {gml_grad_zeros_like(b, data), whole_positions(g), g->results[0]};
    gml_attr add = gml_attr_string("reduction", "add");
    g->operands[0] = gml_build_op(b, &gml_op_scatternd, operands, 3, &add, 1);
    return b->status;
}

const gml_op_info gml_op_gathernd = {
    .name = "GatherND",
    .doc = "The slices of a tensor at positions given as rows of indices.",
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
