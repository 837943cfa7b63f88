/* ir/ops/trilu.c - Trilu: zeros below, or above, the k-th diagonal of matrices. */
#include "ir/elementwise.h"
#include "ir/grad.h"

static const gml_attr_spec attrs[] = {
    {"upper", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER | GML_IS_BOOL));
    if (data->rank < 2)
        return gml_infer_fail(cx, GML_E_SHAPE, "operand 0 has rank %d, not 2 or more",
                              data->rank);
    if (gml_has_operand(cx->node, 1)) {
        const gml_type *k;
        GML_TRY(gml_infer_tensor(cx, 1, &k));
        GML_TRY(gml_infer_require(cx, 1, GML_IS_INT));
        if (k->rank > 0 && gml_type_numel(cx->dims, k) != 1)
            return gml_infer_fail(cx, GML_E_SHAPE, "operand 1 is not a scalar");
    }
    return gml_infer_same(cx);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    int rank = gml_operand_rank(x, 0);
    const gml_expr *k =
        gml_has_operand(node, 1) ? gml_cast(x, gml_at_scalar(x, 1), GML_I64) : gml_i64(x, 0);
    const gml_expr *diagonal = gml_sub(x, index[rank - 1], index[rank - 2]);
    bool upper = gml_node_int(node, "upper", 1) != 0;
    const gml_expr *kept = upper ? gml_le(x, k, diagonal) : gml_le(x, diagonal, k);
    return gml_at_if(x, 0, index, kept, gml_const(x, gml_operand_dtype(x, 0), 0.0));
}

static gml_status grad(gml_grad *g)
{
    gml_value *operands[2] = {g->results[0], NULL};
    uint32_t n = g->node->n_operands;
    operands[1] = n > 1 ? g->node->operands[1] : NULL;
    g->operands[0] =
        gml_build_op(&g->b, &gml_op_trilu, operands, n, g->node->attrs, g->node->n_attrs);
    return g->b.status;
}

const gml_op_info gml_op_trilu = {
    .name = "Trilu",
    .doc = "The upper or lower triangle of matrices.",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
