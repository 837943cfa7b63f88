/* ir/ops/layernormalization.c - LayerNormalization over the axes from `axis` on.
 *
 * Stage one, in the type stash_type: (x - mean) / sqrt(variance + epsilon). Stage two, in the
 * input's type: times scale, plus bias. Mean and inverse deviation are results too, in the
 * stash type.
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
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    int axis;
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", -1), type->rank, &axis));
    gml_dtype stash;
    GML_TRY(gml_infer_stash(cx, &stash));
    for (unsigned k = 1; k < cx->node->n_operands; k++) {
        if (!gml_has_operand(cx->node, k))
            continue;
        GML_TRY(gml_expect_dtype(cx, k, type->dtype));
        const gml_type *other;
        GML_TRY(gml_infer_tensor(cx, k, &other));
        gml_dim both[GML_MAX_RANK];
        int rank;
        GML_TRY(gml_infer_broadcast_dims(cx, type->rank, type->dims, other->rank, other->dims,
                                         &rank, both));
        if (rank != type->rank)
            return gml_infer_fail(cx, GML_E_SHAPE,
                                  "operand %u has rank %d, more than the input's", k,
                                  other->rank);
    }
    gml_dim dims[GML_MAX_RANK];
    for (int d = 0; d < type->rank; d++)
        dims[d] = d < axis ? type->dims[d] : 1;
    GML_TRY(gml_infer_set(cx, 1, stash, type->rank, dims));
    GML_TRY(gml_infer_set(cx, 2, stash, type->rank, dims));
    return gml_infer_same(cx);
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
    gml_moments moments = gml_build_moments(&b, stash, axes, n_axes);
    double epsilon = (double)gml_node_float(node, "epsilon", 0);
    gml_value *inverse = gml_build_inverse_deviation(&b, moments.variance, epsilon);
    gml_value *y = gml_build_mul(&b, moments.centred, inverse);
    y = gml_build_mul(&b, gml_build_cast(&b, y, x->type.dtype), node->operands[1]);
    if (gml_has_operand(node, 2))
        y = gml_build_add(&b, y, node->operands[2]);
    gml_value *results[] = {y, moments.mean, inverse};
    for (uint32_t i = 0; i < node->n_results; i++)
        cx->results[i] = results[i];
    return b.status;
}

const gml_op_info gml_op_layernormalization = {
    .name = "LayerNormalization",
    .doc = "Zero mean and unit variance over the last axes, then a scale and a bias.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 3,
    .traits = GML_REDUCES,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
