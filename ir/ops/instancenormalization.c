/* ir/ops/instancenormalization.c - InstanceNormalization: each channel of each sample by
 * itself. */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/norm_util.h"

static const gml_attr_spec attrs[] = {
    {"epsilon", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1e-5F},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    if (type->rank < 3)
        return gml_infer_fail(cx, GML_E_SHAPE, "the input has rank %d, less than 3",
                              type->rank);
    for (unsigned k = 1; k < 3; k++) {
        GML_TRY(gml_expect_dtype(cx, k, type->dtype));
        GML_TRY(gml_expect_vector(cx, k, type->dims[1]));
    }
    return gml_infer_same(cx);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_value *x = node->operands[0];
    int rank = x->type.rank;
    gml_dtype compute = gml_compute_dtype(x->type.dtype);
    int64_t axes[GML_MAX_RANK];
    size_t n_axes = gml_axes_from(2, rank, axes);
    gml_moments moments = gml_build_moments(&b, gml_build_cast(&b, x, compute), axes, n_axes);
    double epsilon = (double)gml_node_float(node, "epsilon", 0);
    gml_value *inverse = gml_build_inverse_deviation(&b, moments.variance, epsilon);
    gml_value *scale = gml_build_cast(&b, node->operands[1], compute);
    gml_value *bias = gml_build_cast(&b, node->operands[2], compute);
    gml_value *y = gml_build_mul(&b, moments.centred, inverse);
    y = gml_build_mul(&b, y, gml_build_channels(&b, scale, rank));
    y = gml_build_add(&b, y, gml_build_channels(&b, bias, rank));
    cx->results[0] = gml_build_cast(&b, y, x->type.dtype);
    return b.status;
}

const gml_op_info gml_op_instancenormalization = {
    .name = "InstanceNormalization",
    .doc = "Zero mean and unit variance of every channel of every sample, then a scale and a "
           "bias.",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
