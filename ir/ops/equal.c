/* ir/ops/equal.c - Equal. */
#include "ir/elementwise.h"

/* Strings are another operator's: the node becomes one. */
static gml_status infer(gml_infer *cx)
{
    const gml_type *type = gml_operand_type(cx->node, 0);
    if (type && type->kind == GML_TYPE_TENSOR && type->dtype == GML_STRING) {
        cx->node->op = &gml_op_stringequal;
        return gml_op_stringequal.infer(cx);
    }
    for (unsigned k = 0; k < 2; k++)
        GML_TRY(gml_infer_require(cx, k, GML_IS_NUMBER | GML_IS_BOOL));
    return gml_infer_compare(cx);
}

static const gml_expr *scalar(gml_lower *x, const gml_node *node, const gml_expr *const *args)
{
    (void)node;
    return gml_eq(x, args[0], args[1]);
}

const gml_op_info gml_op_equal = {
    .name = "Equal",
    .doc = "Whether two elements are equal.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_COMMUTATIVE,
    .infer = infer,
    .scalar = scalar,
};
