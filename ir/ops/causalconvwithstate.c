/* ir/ops/causalconvwithstate.c - CausalConvWithState: a depthwise convolution of now and
 * before.
 *
 * input (B, C, L) after past_state (B, C, k-1), or zeros, convolved with weight (C, 1, k); the
 * last k-1 positions are the next state. The activation silu (or swish, the same) is x
 * sigmoid(x).
 */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"

static const gml_attr_spec attrs[] = {
    {"activation", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "none"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *input;
    const gml_type *weight;
    GML_TRY(gml_infer_tensor(cx, 0, &input));
    GML_TRY(gml_infer_tensor(cx, 1, &weight));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    for (unsigned k = 1; k < 4; k++)
        GML_TRY(gml_expect_dtype(cx, k, input->dtype));
    GML_TRY(gml_expect_rank(cx, 0, 3));
    GML_TRY(gml_expect_rank(cx, 1, 3));
    GML_TRY(gml_expect_dim(cx, 1, 1, 1));
    if (!gml_dim_is_const(weight->dims[0]) || !gml_dim_is_const(weight->dims[2]) ||
        weight->dims[0] < 1 || weight->dims[2] < 1)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED,
                              "the weight's shape is empty or not known");
    GML_TRY(gml_expect_dim(cx, 0, 1, weight->dims[0]));
    GML_TRY(gml_expect_vector(cx, 2, weight->dims[0]));
    GML_TRY(gml_expect_rank(cx, 3, 3));
    gml_dim state[3] = {input->dims[0], weight->dims[0], weight->dims[2] - 1};
    for (int d = 0; d < 3; d++)
        GML_TRY(gml_expect_dim(cx, 3, d, state[d]));
    if (!gml_node_string_is(cx->node, "activation", "none") &&
        !gml_node_string_is(cx->node, "activation", "silu") &&
        !gml_node_string_is(cx->node, "activation", "swish"))
        return gml_infer_fail(cx, GML_E_INVALID, "activation is none of none, silu, swish");
    GML_TRY(gml_infer_set(cx, 1, input->dtype, 3, state));
    return gml_infer_same(cx);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_value *input = node->operands[0];
    int64_t channels = gml_value_dim(node->operands[1], 0);
    int64_t before = gml_value_dim(node->operands[1], 2) - 1;
    gml_dim state[3] = {gml_value_dim(input, 0), channels, before};
    gml_value *parts[2] = {gml_has_operand(node, 3)
                               ? node->operands[3]
                               : gml_build_zeros(&b, input->type.dtype, state, 3),
                           input};
    gml_value *whole = gml_build_concat(&b, parts, 2, 2);
    gml_attr group = gml_attr_int("group", channels);
    gml_value *operands[3] = {whole, node->operands[1],
                              gml_has_operand(node, 2) ? node->operands[2] : NULL};
    gml_value *y = gml_build_op(&b, &gml_op_conv, operands, operands[2] ? 3 : 2, &group, 1);
    if (!gml_node_string_is(node, "activation", "none")) {
        gml_value *wide = gml_build_cast(&b, y, gml_compute_dtype(y->type.dtype));
        wide = gml_build_mul(&b, wide, gml_build_sigmoid(&b, wide));
        y = gml_build_cast(&b, wide, y->type.dtype);
    }
    cx->results[0] = y;
    if (node->n_results > 1)
        cx->results[1] = before ? gml_build_slice(&b, whole, 2, -before, INT64_MAX)
                                : gml_build_slice(&b, whole, 2, 0, 0);
    return b.status;
}

const gml_op_info gml_op_causalconvwithstate = {
    .name = "CausalConvWithState",
    .doc = "A depthwise convolution over time that carries its last inputs along.",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 2,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
