/* ir/ops/unsqueeze.c - Unsqueeze. */
#include "ir/grad.h"
#include "ir/view.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const int64_t *axes;
    size_t count;
    unsigned set;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_ints(cx, 1, &axes, &count));
    if (count > (size_t)(GML_MAX_RANK - data->rank))
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "rank %zu is above %d",
                              (size_t)data->rank + count, GML_MAX_RANK);
    int rank = data->rank + (int)count;
    GML_TRY(gml_infer_axes(cx, axes, count, rank, &set));
    gml_dim dims[GML_MAX_RANK];
    int next = 0;
    for (int i = 0; i < rank; i++)
        dims[i] = set >> i & 1u ? 1 : data->dims[next++];
    return gml_infer_set(cx, 0, data->dtype, rank, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    size_t count;
    const gml_dim *axes = gml_operand_elements(x, 1, &count);
    int rank = node->results[result].type.rank;
    const gml_expr *from[GML_MAX_RANK];
    int next = 0;
    for (int i = 0; i < rank; i++) {
        bool is_new = false;
        for (size_t k = 0; k < count; k++)
            is_new = is_new || axes[k] == i || axes[k] + rank == i;
        if (!is_new)
            from[next++] = index[i];
    }
    return gml_at(x, 0, from);
}

const gml_op_info gml_op_unsqueeze = {
    .name = "Unsqueeze",
    .doc = "A tensor with new axes of size 1.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .value_operands = 1u << 1,
    .infer = infer,
    .lower = lower,
    .grad = gml_grad_view,
};
