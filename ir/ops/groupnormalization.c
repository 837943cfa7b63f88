/* ir/ops/groupnormalization.c - GroupNormalization: mean and variance over groups of channels.
 *
 * X (N, C, …) is seen as (N, groups, C/groups * …). Statistics are taken in the type
 * stash_type; scale and bias hold one element a channel.
 */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/norm_util.h"

static const gml_attr_spec attrs[] = {
    {"epsilon", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1e-5F},
    {"num_groups", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"stash_type", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    if (type->rank < 2)
        return gml_infer_fail(cx, GML_E_SHAPE, "the input has rank %d, less than 2",
                              type->rank);
    for (unsigned k = 1; k < 3; k++) {
        GML_TRY(gml_expect_dtype(cx, k, type->dtype));
        GML_TRY(gml_expect_vector(cx, k, type->dims[1]));
    }
    int64_t groups = 1;
    GML_TRY(gml_expect_count(cx, "num_groups", &groups));
    if (gml_infer_leaves_rest(cx, type->dims[1], groups))
        return gml_infer_fail(cx, GML_E_SHAPE, "the channels do not divide by %lld groups",
                              (long long)groups);
    gml_dtype stash;
    GML_TRY(gml_infer_stash(cx, &stash));
    return gml_infer_same(cx);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_value *x = node->operands[0];
    const gml_dim *dims = x->type.dims;
    gml_dim groups = gml_node_int(node, "num_groups", 1);
    gml_dim inner = gml_dim_div(cx->dims, dims[1], groups);
    for (int d = 2; d < x->type.rank; d++)
        inner = gml_dim_mul(cx->dims, inner, dims[d]);
    gml_dim grouped[] = {dims[0], groups, inner};
    static const int64_t last[] = {2};
    gml_value *y = gml_build_cast(&b, x, gml_stash_dtype(node));
    gml_moments moments = gml_build_moments(&b, gml_build_reshape(&b, y, grouped, 3), last, 1);
    double epsilon = (double)gml_node_float(node, "epsilon", 0);
    gml_value *inverse = gml_build_inverse_deviation(&b, moments.variance, epsilon);
    y = gml_build_mul(&b, moments.centred, inverse);
    y = gml_build_reshape(&b, y, dims, (size_t)x->type.rank);
    y = gml_build_cast(&b, y, x->type.dtype);
    y = gml_build_mul(&b, y, gml_build_channels(&b, node->operands[1], x->type.rank));
    cx->results[0] =
        gml_build_add(&b, y, gml_build_channels(&b, node->operands[2], x->type.rank));
    return b.status;
}

const gml_op_info gml_op_groupnormalization = {
    .name = "GroupNormalization",
    .doc = "Zero mean and unit variance over groups of channels, then a scale and a bias.",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
