/* ir/ops/adagrad.c - Adagrad: one step of the optimizer.
 *
 *     g = G + norm_coefficient X;  H <- H + g^2
 *     X <- X - R / (1 + T decay_factor) g / (sqrt(H) + epsilon)
 */
#include "ir/ops/build_util.h"
#include "ir/ops/optimizer_util.h"

static const gml_attr_spec attrs[] = {
    {"decay_factor", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {"epsilon", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1e-6F},
    {"norm_coefficient", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {NULL},
};

static void step(gml_build *b, const gml_node *node, gml_value *const *in, gml_value **out)
{
    double decay = (double)gml_node_float(node, "decay_factor", 0);
    double epsilon = (double)gml_node_float(node, "epsilon", 0);
    gml_value *gradient = gml_optimizer_gradient(b, node, in);
    gml_value *rate = gml_optimizer_rate(b, node, in[0]->type.dtype);
    if (decay != 0) {
        gml_value *count = gml_optimizer_count(b, node, in[0]->type.dtype);
        gml_value *slowdown = gml_build_mul_scalar(b, count, decay);
        rate = gml_build_div(b, rate, gml_build_add_scalar(b, slowdown, 1));
    }
    out[1] = gml_build_add(b, in[2], gml_build_mul(b, gradient, gradient));
    gml_value *divisor = gml_build_add_scalar(b, gml_build_sqrt(b, out[1]), epsilon);
    gml_value *change = gml_build_div(b, gml_build_mul(b, rate, gradient), divisor);
    out[0] = gml_build_sub(b, in[0], change);
}

static gml_status infer(gml_infer *cx)
{
    return gml_optimizer_infer(cx, 3);
}

static gml_status expand(gml_expand *cx)
{
    return gml_optimizer_expand(cx, 3, step);
}

const gml_op_info gml_op_adagrad = {
    .name = "Adagrad",
    .domain = "ai.onnx.preview.training",
    .doc = "One step of Adagrad for any number of tensors.",
    .min_in = 3,
    .max_in = -1,
    .min_out = 1,
    .max_out = -1,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
