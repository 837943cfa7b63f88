/* ir/ops/transpose.c - Transpose. */
#include "ir/grad.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"perm", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

/* The operand's axis that result axis `i` is. */
static int source_axis(const gml_node *node, int i, int rank)
{
    size_t count;
    const int64_t *perm = gml_node_ints(node, "perm", &count);
    return perm ? (int)(perm[i] < 0 ? perm[i] + rank : perm[i]) : rank - 1 - i;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    size_t count;
    const int64_t *perm = gml_node_ints(cx->node, "perm", &count);
    if (perm) {
        unsigned set;
        if (count != (size_t)data->rank)
            return gml_infer_fail(cx, GML_E_SHAPE, "perm has %zu entries for rank %d", count,
                                  data->rank);
        GML_TRY(gml_infer_axes(cx, perm, count, data->rank, &set));
    }
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i < data->rank; i++)
        dims[i] = data->dims[source_axis(cx->node, i, data->rank)];
    return gml_infer_set(cx, 0, data->dtype, data->rank, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    const gml_expr *from[GML_MAX_RANK];
    int rank = gml_operand_rank(x, 0);
    for (int i = 0; i < rank; i++)
        from[source_axis(node, i, rank)] = index[i];
    return gml_at(x, 0, from);
}

static gml_status grad(gml_grad *g)
{
    int rank = g->node->results[0].type.rank;
    int64_t perm[GML_MAX_RANK];
    for (int i = 0; i < rank; i++)
        perm[source_axis(g->node, i, rank)] = i;
    g->operands[0] = gml_build_transpose(&g->b, g->results[0], perm, (size_t)rank);
    return g->b.status;
}

const gml_op_info gml_op_transpose = {
    .name = "Transpose",
    .doc = "The same elements with the axes in another order; reversed by default.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
