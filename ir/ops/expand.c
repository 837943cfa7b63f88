/* ir/ops/expand.c - Expand. */
#include "ir/grad.h"
#include "ir/view.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const gml_dim *shape;
    size_t count;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_elements(cx, 1, &shape, &count));
    if (count > GML_MAX_RANK)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "rank %zu is above %d", count,
                              GML_MAX_RANK);
    gml_dim dims[GML_MAX_RANK];
    int rank;
    GML_TRY(
        gml_infer_broadcast_dims(cx, data->rank, data->dims, (int)count, shape, &rank, dims));
    return gml_infer_set(cx, 0, data->dtype, rank, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    return gml_at_broadcast(x, 0, index, node->results[result].type.rank);
}

static gml_status grad(gml_grad *g)
{
    g->operands[0] = g->results[0]; /* whoever asks sums it up */
    return GML_OK;
}

const gml_op_info gml_op_expand = {
    .name = "Expand",
    .doc = "A tensor repeated as broadcasting it against a shape does.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .value_operands = 1u << 1,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
