/* ir/ops/squeeze.c - Squeeze. */
#include "ir/grad.h"
#include "ir/view.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const int64_t *axes;
    size_t count;
    unsigned set = 0;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_ints(cx, 1, &axes, &count));
    if (gml_has_operand(cx->node, 1))
        GML_TRY(gml_infer_axes(cx, axes, count, data->rank, &set));
    gml_dim dims[GML_MAX_RANK];
    int rank = 0;
    for (int i = 0; i < data->rank; i++) {
        bool named = set >> i & 1u;
        if (named && gml_infer_differ(cx, data->dims[i], 1))
            return gml_infer_fail(cx, GML_E_SHAPE, "axis %d has size %lld, not 1", i,
                                  (long long)data->dims[i]);
        if (!gml_has_operand(cx->node, 1) && !gml_dim_is_const(data->dims[i]))
            return gml_infer_fail(cx, GML_E_UNSUPPORTED,
                                  "no axes are given and the size of axis %d is not known", i);
        if (!named && (gml_has_operand(cx->node, 1) || data->dims[i] != 1))
            dims[rank++] = data->dims[i];
    }
    return gml_infer_set(cx, 0, data->dtype, rank, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)node;
    (void)result;
    size_t count;
    const gml_dim *axes = gml_operand_elements(x, 1, &count);
    int rank = gml_operand_rank(x, 0);
    const gml_expr *from[GML_MAX_RANK];
    int next = 0;
    for (int i = 0; i < rank; i++) {
        bool gone = !axes && gml_operand_dim(x, 0, i) == 1;
        for (size_t k = 0; axes && k < count; k++)
            gone = gone || axes[k] == i || axes[k] + rank == i;
        from[i] = gone ? gml_i64(x, 0) : index[next++];
    }
    return gml_at(x, 0, from);
}

const gml_op_info gml_op_squeeze = {
    .name = "Squeeze",
    .doc = "A tensor without some of its axes of size 1, or without all of them.",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .value_operands = 1u << 1,
    .infer = infer,
    .lower = lower,
    .grad = gml_grad_view,
};
