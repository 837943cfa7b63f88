/* ir/ops/prelu.c - PRelu: x < 0 ? slope x : x. */
#include "ir/elementwise.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *type;
    const gml_type *slope;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_tensor(cx, 1, &slope));
    GML_TRY(gml_infer_numbers_broadcast(cx)); /* also says whether the shapes fit */
    if (slope->rank > type->rank)
        return gml_infer_fail(cx, GML_E_SHAPE, "the slope has rank %d, the input %d",
                              slope->rank, type->rank);
    return gml_infer_set_type(cx, 0, *type);
}

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    const gml_expr *negative = gml_lt(x, args[0], gml_like(x, args[0], 0.0));
    return gml_select(x, negative, gml_mul(x, args[1], args[0]), args[0]);
}

const gml_op_info gml_op_prelu = {
    .name = "PRelu",
    .doc = "Negative elements times a slope of their own.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .infer = infer,
    .scalar = scalar,
};
