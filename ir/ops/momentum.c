/* ir/ops/momentum.c - Momentum: one step of gradient descent with momentum.
 *
 *     g = G + norm_coefficient X;  V <- alpha V + b g with b = beta, 1 in the first step
 *     X <- X - R V, or in mode nesterov X - R (g + alpha V)
 */
#include "ir/ops/build_util.h"
#include "ir/ops/optimizer_util.h"

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_REQUIRED},
    {"beta", GML_ATTR_FLOAT, GML_ATTR_REQUIRED},
    {"mode", GML_ATTR_STRING, GML_ATTR_REQUIRED},
    {"norm_coefficient", GML_ATTR_FLOAT, GML_ATTR_REQUIRED},
    {NULL},
};

static void step(gml_build *b, const gml_node *node, gml_value *const *in, gml_value **out)
{
    gml_dtype dtype = in[0]->type.dtype;
    double alpha = (double)gml_node_float(node, "alpha", 0);
    double beta = (double)gml_node_float(node, "beta", 0);
    gml_value *gradient = gml_optimizer_gradient(b, node, in);
    gml_value *share = gml_optimizer_after(b, node, gml_build_scalar(b, dtype, beta),
                                           gml_build_scalar(b, dtype, 1));
    out[1] = gml_build_add(b, gml_build_mul_scalar(b, in[2], alpha),
                           gml_build_mul(b, share, gradient));
    gml_value *change = out[1];
    if (gml_node_string_is(node, "mode", "nesterov"))
        change = gml_build_add(b, gradient, gml_build_mul_scalar(b, out[1], alpha));
    gml_value *rate = gml_optimizer_rate(b, node, dtype);
    out[0] = gml_build_sub(b, in[0], gml_build_mul(b, rate, change));
}

static gml_status infer(gml_infer *cx)
{
    if (!gml_node_string_is(cx->node, "mode", "standard") &&
        !gml_node_string_is(cx->node, "mode", "nesterov"))
        return gml_infer_fail(cx, GML_E_INVALID, "mode is neither standard nor nesterov");
    return gml_optimizer_infer(cx, 3);
}

static gml_status expand(gml_expand *cx)
{
    return gml_optimizer_expand(cx, 3, step);
}

const gml_op_info gml_op_momentum = {
    .name = "Momentum",
    .domain = "ai.onnx.preview.training",
    .doc = "One step of momentum for any number of tensors.",
    .min_in = 3,
    .max_in = -1,
    .min_out = 1,
    .max_out = -1,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
