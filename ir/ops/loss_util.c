/* ir/ops/loss_util.c - operands of the classification losses. */
#include "ir/ops/loss_util.h"

#include "ir/ops/expect_util.h"

const gml_attr_spec gml_loss_attrs[] = {
    {"ignore_index", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"reduction", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "mean"},
    {NULL},
};

gml_status gml_loss_infer(gml_infer *cx)
{
    const gml_type *scores;
    const gml_type *target;
    GML_TRY(gml_infer_tensor(cx, 0, &scores));
    GML_TRY(gml_infer_tensor(cx, 1, &target));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    GML_TRY(gml_infer_require(cx, 1, GML_IS_INT));
    if (scores->rank < 2)
        return gml_infer_fail(cx, GML_E_SHAPE, "the scores have rank %d, less than 2",
                              scores->rank);
    GML_TRY(gml_expect_rank(cx, 1, scores->rank - 1));
    for (int d = 0; d < target->rank; d++)
        GML_TRY(gml_expect_dim(cx, 1, d, scores->dims[d == 0 ? 0 : d + 1]));
    GML_TRY(gml_expect_dtype(cx, 2, scores->dtype));
    GML_TRY(gml_expect_vector(cx, 2, scores->dims[1]));
    if (gml_node_string_is(cx->node, "reduction", "none"))
        return gml_infer_set(cx, 0, scores->dtype, target->rank, target->dims);
    if (!gml_node_string_is(cx->node, "reduction", "mean") &&
        !gml_node_string_is(cx->node, "reduction", "sum"))
        return gml_infer_fail(cx, GML_E_INVALID, "reduction is none of none, mean, sum");
    return gml_infer_set(cx, 0, scores->dtype, 0, NULL);
}
