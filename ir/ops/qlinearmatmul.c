/* ir/ops/qlinearmatmul.c - QLinearMatMul: a MatMul of operands less their zero points, exact in
 * i32, then quantised again with one scale. Small floats are multiplied in f32. */
#include "ir/elementwise.h"
#include "ir/quantize.h"

static gml_status infer(gml_infer *cx)
{
    for (unsigned k = 0; k < 8; k++)
        GML_TRY(gml_infer_require(cx, k,
                                  k == 1 || k == 4 || k == 6 ? GML_IS_FLOAT : GML_IS_NUMBER));
    gml_type type;
    GML_TRY(gml_infer_as(cx, &gml_op_matmul, 0, 3, &type));
    const gml_type *zero;
    GML_TRY(gml_infer_tensor(cx, 7, &zero));
    type.dtype = zero->dtype;
    return gml_infer_set_type(cx, 0, type);
}

/* A scale or zero point of rows stands as a column. */
static gml_value *of_rows(gml_build *b, const gml_node *node, unsigned k)
{
    gml_value *value = node->operands[k];
    int64_t last = -1;
    if (value->type.rank == 1 && value->type.dims[0] != 1 && node->operands[0]->type.rank > 1)
        return gml_build_unsqueeze(b, value, &last, 1);
    return value;
}

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    const gml_node *node = cx->node;
    bool floats = gml_dtype_is_float(node->operands[0]->type.dtype) ||
                  gml_dtype_is_float(node->operands[3]->type.dtype);
    gml_dtype wide = floats ? GML_F32 : GML_I32;
    gml_value *left = gml_build_centered(&b, node->operands[0], of_rows(&b, node, 2), wide);
    gml_value *right = gml_build_centered(&b, node->operands[3], node->operands[5], wide);
    gml_value *product = gml_build_binary(&b, &gml_op_matmul, left, right);
    gml_value *a_scale = gml_build_cast(&b, of_rows(&b, node, 1), GML_F32);
    gml_value *b_scale = gml_build_cast(&b, node->operands[4], GML_F32);
    gml_value *y_scale = gml_build_cast(&b, of_rows(&b, node, 6), GML_F32);
    gml_value *scale = gml_build_binary(&b, &gml_op_mul, a_scale, b_scale);
    scale = gml_build_binary(&b, &gml_op_div, scale, y_scale);
    product = gml_build_cast(&b, product, GML_F32);
    cx->results[0] = gml_build_requantize(&b, product, scale, of_rows(&b, node, 7));
    return b.status;
}

const gml_op_info gml_op_qlinearmatmul = {
    .name = "QLinearMatMul",
    .doc = "The product of quantised matrices, quantised.",
    .min_in = 8,
    .max_in = 8,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_CONTRACTION,
    .infer = infer,
    .expand = expand,
};
