/* ir/ops/meanvariancenormalization.c - MeanVarianceNormalization: (x - mean) / (deviation +
 * 1e-9). */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/norm_util.h"

static const gml_attr_spec attrs[] = {
    {"axes", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

/* Without the attribute: batch, height and width of (N, C, H, W). */
static const int64_t *axes_of(const gml_node *node, size_t *out_count)
{
    static const int64_t usual[] = {0, 2, 3};
    const int64_t *axes = gml_node_ints(node, "axes", out_count);
    if (!axes) {
        axes = usual;
        *out_count = 3;
    }
    return axes;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    size_t count;
    const int64_t *axes = axes_of(cx->node, &count);
    for (size_t i = 0; i < count; i++) {
        int axis;
        GML_TRY(gml_infer_axis(cx, axes[i], type->rank, &axis));
    }
    return gml_infer_same(cx);
}

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    gml_value *x = cx->node->operands[0];
    size_t count;
    const int64_t *axes = axes_of(cx->node, &count);
    gml_value *wide = gml_build_cast(&b, x, gml_compute_dtype(x->type.dtype));
    gml_moments moments = gml_build_moments(&b, wide, axes, count);
    gml_value *deviation = gml_build_add_scalar(&b, gml_build_sqrt(&b, moments.variance), 1e-9);
    gml_value *y = gml_build_div(&b, moments.centred, deviation);
    cx->results[0] = gml_build_cast(&b, y, x->type.dtype);
    return b.status;
}

const gml_op_info gml_op_meanvariancenormalization = {
    .name = "MeanVarianceNormalization",
    .doc = "Zero mean and unit variance along axes.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
