/* ir/ops/matmulinteger.c - MatMulInteger: a MatMul in i32 of operands less their zero points.
 */
#include "ir/elementwise.h"
#include "ir/quantize.h"

static gml_status infer(gml_infer *cx)
{
    for (unsigned k = 0; k < 4; k++)
        GML_TRY(gml_infer_require(cx, k, GML_IS_INT));
    gml_type type;
    GML_TRY(gml_infer_as(cx, &gml_op_matmul, 0, 1, &type));
    return gml_infer_set_type(cx, 0, type);
}

/* Zero points of the rows of operand 0 stand as a column. */
static gml_value *row_zeros(gml_build *b, const gml_node *node)
{
    if (!gml_has_operand(node, 2))
        return NULL;
    gml_value *zero = node->operands[2];
    int64_t last = -1;
    if (zero->type.rank == 1 && zero->type.dims[0] != 1 && node->operands[0]->type.rank > 1)
        return gml_build_unsqueeze(b, zero, &last, 1);
    return zero;
}

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    const gml_node *node = cx->node;
    gml_value *zero = gml_has_operand(node, 3) ? node->operands[3] : NULL;
    gml_value *left = gml_build_centered(&b, node->operands[0], row_zeros(&b, node), GML_I32);
    gml_value *right = gml_build_centered(&b, node->operands[1], zero, GML_I32);
    cx->results[0] = gml_build_binary(&b, &gml_op_matmul, left, right);
    return b.status;
}

const gml_op_info gml_op_matmulinteger = {
    .name = "MatMulInteger",
    .doc = "The product of quantised matrices, as i32.",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_CONTRACTION,
    .infer = infer,
    .expand = expand,
};
