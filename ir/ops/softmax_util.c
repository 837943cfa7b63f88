/* ir/ops/softmax_util.c - the shifted exponentials of a softmax. */
#include "ir/ops/softmax_util.h"

#include "ir/ops/expect_util.h"

const gml_attr_spec gml_softmax_attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = -1},
    {NULL},
};

int gml_softmax_axis(const gml_node *node)
{
    int64_t axis = gml_node_int(node, "axis", -1);
    return (int)(axis < 0 ? axis + gml_operand_type(node, 0)->rank : axis);
}

gml_status gml_softmax_infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    int axis;
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", -1), type->rank, &axis));
    return gml_infer_same(cx);
}

const gml_expr *gml_softmax_shifted(gml_lower *x, const gml_node *node,
                                    const gml_expr *const *index, const gml_expr **out_sum)
{
    int axis = gml_softmax_axis(node);
    int rank = gml_operand_rank(x, 0);
    gml_dim size = gml_operand_dim(x, 0, axis);
    const gml_axis *axes[2] = {gml_reduce_axis(x, size), gml_reduce_axis(x, size)};
    const gml_expr *at[2][GML_MAX_RANK];
    for (int i = 0; i < 2; i++)
        for (int d = 0; d < rank; d++)
            at[i][d] = d == axis ? gml_axis_value(x, axes[i]) : index[d];
    const gml_expr *max =
        gml_reduce(x, GML_REDUCE_MAX, axes[0], gml_wide(x, gml_at(x, 0, at[0])));
    const gml_expr *shifted = gml_sub(x, gml_wide(x, gml_at(x, 0, at[1])), max);
    *out_sum = gml_reduce(x, GML_REDUCE_SUM, axes[1], gml_unary(x, GML_X_EXP, shifted));
    return gml_sub(x, gml_wide(x, gml_at(x, 0, index)), max);
}
