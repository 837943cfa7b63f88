/* ir/ops/rmsnormalization.c - RMSNormalization: x / sqrt(mean(x^2) + epsilon) * scale.
 *
 * The root mean square is taken over the axes from `axis` on, in the type stash_type; the scale
 * is applied in its own type, which is the result's.
 */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/norm_util.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = -1},
    {"epsilon", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1e-5F},
    {"stash_type", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *type;
    const gml_type *scale;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_tensor(cx, 1, &scale));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    GML_TRY(gml_infer_require(cx, 1, GML_IS_FLOAT));
    int axis;
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", -1), type->rank, &axis));
    gml_dtype stash;
    GML_TRY(gml_infer_stash(cx, &stash));
    gml_dim both[GML_MAX_RANK];
    int rank;
    GML_TRY(gml_infer_broadcast_dims(cx, type->rank, type->dims, scale->rank, scale->dims,
                                     &rank, both));
    if (rank != type->rank)
        return gml_infer_fail(cx, GML_E_SHAPE, "the scale has rank %d, more than the input's",
                              scale->rank);
    return gml_infer_set(cx, 0, scale->dtype, type->rank, type->dims);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_value *x = node->operands[0];
    int64_t axis = gml_node_int(node, "axis", -1);
    int64_t axes[GML_MAX_RANK];
    int first = (int)(axis < 0 ? axis + x->type.rank : axis);
    size_t n_axes = gml_axes_from(first, x->type.rank, axes);
    gml_value *stash = gml_build_cast(&b, x, gml_stash_dtype(node));
    gml_value *square = gml_build_mul(&b, stash, stash);
    gml_value *mean = gml_build_reduce(&b, &gml_op_reducemean, square, axes, n_axes, true);
    double epsilon = (double)gml_node_float(node, "epsilon", 0);
    gml_value *inverse = gml_build_inverse_deviation(&b, mean, epsilon);
    gml_value *y = gml_build_mul(&b, stash, inverse);
    gml_value *scale = node->operands[1];
    cx->results[0] = gml_build_mul(&b, gml_build_cast(&b, y, scale->type.dtype), scale);
    return b.status;
}

const gml_op_info gml_op_rmsnormalization = {
    .name = "RMSNormalization",
    .doc = "Unit root mean square over the last axes, then a scale.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
