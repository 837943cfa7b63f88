/* ir/ops/adam.c - Adam: one step of the optimizer.
 *
 *     g = G + norm_coefficient X;  V <- alpha V + (1 - alpha) g;  H <- beta H + (1 - beta) g^2
 *     r = R sqrt(1 - beta^T) / (1 - alpha^T) from the first step on, R before
 *     X <- (1 - norm_coefficient_post) (X - r V / (sqrt(H) + epsilon))
 *
 * The bias correction is computed in f64: 1 - beta^T loses most of its digits in f32.
 */
#include "ir/ops/build_util.h"
#include "ir/ops/optimizer_util.h"

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.9F},
    {"beta", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.999F},
    {"epsilon", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1e-6F},
    {"norm_coefficient", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {"norm_coefficient_post", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {NULL},
};

/* 1 - factor^T */
static gml_value *correction(gml_build *b, const gml_node *node, double factor)
{
    gml_value *count = gml_optimizer_count(b, node, GML_F64);
    gml_value *base = gml_build_scalar(b, GML_F64, factor);
    return gml_build_sub_from(b, 1, gml_build_binary(b, &gml_op_pow, base, count));
}

/* factor * old + (1 - factor) * now */
static gml_value *average(gml_build *b, gml_value *old, gml_value *now, double factor)
{
    return gml_build_add(b, gml_build_mul_scalar(b, old, factor),
                         gml_build_mul_scalar(b, now, 1 - factor));
}

static void step(gml_build *b, const gml_node *node, gml_value *const *in, gml_value **out)
{
    double alpha = (double)gml_node_float(node, "alpha", 0);
    double beta = (double)gml_node_float(node, "beta", 0);
    double epsilon = (double)gml_node_float(node, "epsilon", 0);
    double post = (double)gml_node_float(node, "norm_coefficient_post", 0);
    gml_value *gradient = gml_optimizer_gradient(b, node, in);
    out[1] = average(b, in[2], gradient, alpha);
    out[2] = average(b, in[3], gml_build_mul(b, gradient, gradient), beta);
    gml_value *rate = gml_optimizer_rate(b, node, GML_F64);
    gml_value *root = gml_build_sqrt(b, correction(b, node, beta));
    gml_value *adjusted = gml_build_mul(b, rate, root);
    adjusted = gml_build_div(b, adjusted, correction(b, node, alpha));
    rate = gml_optimizer_after(b, node, adjusted, rate);
    rate = gml_build_cast(b, rate, in[0]->type.dtype);
    gml_value *divisor = gml_build_add_scalar(b, gml_build_sqrt(b, out[2]), epsilon);
    gml_value *change = gml_build_mul(b, rate, gml_build_div(b, out[1], divisor));
    out[0] = gml_build_sub(b, in[0], change);
    if (post != 0)
        out[0] = gml_build_mul_scalar(b, out[0], 1 - post);
}

static gml_status infer(gml_infer *cx)
{
    return gml_optimizer_infer(cx, 4);
}

static gml_status expand(gml_expand *cx)
{
    return gml_optimizer_expand(cx, 4, step);
}

const gml_op_info gml_op_adam = {
    .name = "Adam",
    .domain = "ai.onnx.preview.training",
    .doc = "One step of Adam for any number of tensors.",
    .min_in = 3,
    .max_in = -1,
    .min_out = 1,
    .max_out = -1,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
