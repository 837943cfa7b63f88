/* ir/ops/norm_util.c - means, variances, deviations. */
#include "ir/ops/norm_util.h"

#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"

gml_moments gml_build_moments(gml_build *b, gml_value *x, const int64_t *axes, size_t n_axes)
{
    gml_moments moments;
    moments.mean = gml_build_reduce(b, &gml_op_reducemean, x, axes, n_axes, true);
    moments.centred = gml_build_sub(b, x, moments.mean);
    gml_value *square = gml_build_mul(b, moments.centred, moments.centred);
    moments.variance = gml_build_reduce(b, &gml_op_reducemean, square, axes, n_axes, true);
    return moments;
}

gml_value *gml_build_inverse_deviation(gml_build *b, gml_value *variance, double epsilon)
{
    gml_value *deviation = gml_build_sqrt(b, gml_build_add_scalar(b, variance, epsilon));
    return gml_build_unary(b, &gml_op_reciprocal, deviation);
}

size_t gml_axes_from(int first, int rank, int64_t *out_axes)
{
    size_t count = 0;
    for (int d = first; d < rank; d++)
        out_axes[count++] = d;
    return count;
}

gml_dtype gml_stash_dtype(const gml_node *node)
{
    int64_t number = gml_node_int(node, "stash_type", GML_F32);
    return number > 0 && number < GML_DTYPE_COUNT ? (gml_dtype)number : GML_NONE;
}

gml_status gml_infer_stash(gml_infer *cx, gml_dtype *out_dtype)
{
    *out_dtype = gml_stash_dtype(cx->node);
    if (!gml_dtype_is_float(*out_dtype))
        return gml_infer_fail(cx, GML_E_TYPE, "stash_type %lld is no float type",
                              (long long)gml_node_int(cx->node, "stash_type", 1));
    return GML_OK;
}
