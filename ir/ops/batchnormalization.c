/* ir/ops/batchnormalization.c - BatchNormalization: every channel over batch and space.
 *
 *     Y = (X - mean) / sqrt(variance + epsilon) * scale + bias
 *
 * With training_mode the moments are those of the batch (the variance divides by the count),
 * and the running ones become running * momentum + batch * (1 - momentum). Computed in f32, or
 * in f64 when any operand has it; input, scale and statistics may have different types.
 */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/norm_util.h"

static const gml_attr_spec attrs[] = {
    {"epsilon", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1e-5F},
    {"momentum", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.9F},
    {"training_mode", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *type;
    const gml_type *mean;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_tensor(cx, 3, &mean));
    if (type->rank < 1)
        return gml_infer_fail(cx, GML_E_SHAPE, "the input is a scalar");
    gml_dim channels = type->rank > 1 ? type->dims[1] : 1;
    for (unsigned k = 0; k < 5; k++) {
        GML_TRY(gml_infer_require(cx, k, GML_IS_FLOAT));
        if (k > 0)
            GML_TRY(gml_expect_vector(cx, k, channels));
    }
    if (cx->node->n_results > 1 && !gml_node_int(cx->node, "training_mode", 0))
        return gml_infer_fail(cx, GML_E_INVALID,
                              "running statistics are results of training_mode only");
    GML_TRY(gml_infer_set(cx, 1, mean->dtype, 1, &channels));
    GML_TRY(gml_infer_set(cx, 2, mean->dtype, 1, &channels));
    return gml_infer_same(cx);
}

/* running * momentum + batch * (1 - momentum), in the type of the running statistic. */
static gml_value *running(gml_build *b, const gml_node *node, gml_value *old, gml_value *batch)
{
    double momentum = (double)gml_node_float(node, "momentum", 0);
    gml_dtype compute = batch->type.dtype;
    gml_value *kept = gml_build_mul_scalar(b, gml_build_cast(b, old, compute), momentum);
    gml_value *moved = gml_build_mul_scalar(b, batch, 1.0 - momentum);
    return gml_build_cast(b, gml_build_add(b, kept, moved), old->type.dtype);
}

/* The batch's moments as channel vectors; replaces the running ones in `vectors`. Returns the
 * centred input. */
static gml_value *take_moments(gml_expand *cx, gml_build *b, gml_value *x, gml_value **vectors)
{
    const gml_node *node = cx->node;
    int64_t axes[GML_MAX_RANK];
    size_t n_axes = 0;
    for (int d = 0; d < x->type.rank; d++)
        if (d != 1)
            axes[n_axes++] = d;
    gml_moments moments = gml_build_moments(b, x, axes, n_axes);
    gml_dim channels = gml_value_dim(x, 1);
    vectors[2] = gml_build_reshape(b, moments.mean, &channels, 1);
    vectors[3] = gml_build_reshape(b, moments.variance, &channels, 1);
    for (uint32_t i = 1; i < node->n_results; i++)
        cx->results[i] = running(b, node, node->operands[i + 2], vectors[i + 1]);
    return moments.centred;
}

/* Behind a convolution, x has the rounding error of a long sum: then x * scale + (bias - mean *
 * scale) is as exact, and cheaper where the statistics are constants. Elsewhere x may be exact
 * and the mean large against the deviation, and x - mean has to come first. */
static bool follows_product(const gml_node *node)
{
    const gml_node *producer = node->operands[0]->def;
    return producer && (producer->op->traits & GML_CONTRACTION) &&
           !gml_node_int(node, "training_mode", 0);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_dtype compute = GML_F32;
    for (unsigned k = 0; k < 5; k++)
        if (node->operands[k]->type.dtype == GML_F64)
            compute = GML_F64;
    int rank = node->operands[0]->type.rank;
    gml_value *x = gml_build_cast(&b, node->operands[0], compute);
    gml_value *vectors[4]; /* scale, bias, mean, variance */
    for (unsigned k = 0; k < 4; k++)
        vectors[k] = gml_build_cast(&b, node->operands[k + 1], compute);
    gml_value *centred = NULL;
    if (gml_node_int(node, "training_mode", 0))
        centred = take_moments(cx, &b, x, vectors);
    double epsilon = (double)gml_node_float(node, "epsilon", 0);
    gml_value *scale = gml_build_inverse_deviation(&b, vectors[3], epsilon);
    scale = gml_build_mul(&b, scale, vectors[0]);
    gml_value *shift = vectors[1];
    gml_value *y = x;
    if (centred) {
        y = centred;
    } else if (follows_product(node)) {
        shift = gml_build_sub(&b, shift, gml_build_mul(&b, vectors[2], scale));
    } else {
        y = gml_build_sub(&b, y, gml_build_channels(&b, vectors[2], rank));
    }
    y = gml_build_mul(&b, y, gml_build_channels(&b, scale, rank));
    y = gml_build_add(&b, y, gml_build_channels(&b, shift, rank));
    cx->results[0] = gml_build_cast(&b, y, node->operands[0]->type.dtype);
    return b.status;
}

const gml_op_info gml_op_batchnormalization = {
    .name = "BatchNormalization",
    .doc = "Zero mean and unit variance of every channel, then a scale and a bias.",
    .min_in = 5,
    .max_in = 5,
    .min_out = 1,
    .max_out = 3,
    .traits = GML_REDUCES,
    .measured_operands = 1u << 3 | 1u << 4,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
