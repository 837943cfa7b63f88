/* ir/ops/lrn.c - LRN: local response normalisation across channels.
 *
 *     y[n,c,…] = x[n,c,…] / (bias + alpha / size * sum(x[n,i,…]^2))^beta
 * where i runs over c - floor((size-1)/2) to c + ceil((size-1)/2), inside the channels.
 */
#include "ir/ops/expect_util.h"

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.0001F},
    {"beta", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.75F},
    {"bias", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1.0F},
    {"size", GML_ATTR_INT, GML_ATTR_REQUIRED},
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
    int64_t size = gml_node_int(cx->node, "size", 1);
    if (size < 1 || size > INT32_MAX)
        return gml_infer_fail(cx, GML_E_RANGE, "size is %lld", (long long)size);
    return gml_infer_same(cx);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    int64_t size = gml_node_int(node, "size", 1);
    int rank = gml_operand_rank(x, 0);
    gml_dtype dtype = gml_result_dtype(x, result);
    const gml_axis *axis = gml_reduce_axis(x, size);
    const gml_expr *at[GML_MAX_RANK];
    for (int d = 0; d < rank; d++)
        at[d] = index[d];
    const gml_expr *step = gml_sub(x, gml_axis_value(x, axis), gml_i64(x, (size - 1) / 2));
    at[1] = gml_add(x, index[1], step);
    const gml_expr *inside = gml_in_range(x, at[1], gml_operand_dim(x, 0, 1));
    const gml_expr *near = gml_wide(x, gml_at_if(x, 0, at, inside, gml_const(x, dtype, 0)));
    const gml_expr *sum = gml_reduce(x, GML_REDUCE_SUM, axis, gml_mul(x, near, near));
    double alpha = (double)gml_node_float(node, "alpha", 0) / (double)size;
    double bias = (double)gml_node_float(node, "bias", 0);
    const gml_expr *base = gml_mul(x, sum, gml_like(x, sum, alpha));
    base = gml_add(x, base, gml_like(x, sum, bias));
    const gml_expr *beta = gml_like(x, sum, (double)gml_node_float(node, "beta", 0));
    const gml_expr *scale = gml_binary(x, GML_X_POW, base, beta);
    return gml_cast(x, gml_div(x, gml_wide(x, gml_at(x, 0, index)), scale), dtype);
}

const gml_op_info gml_op_lrn = {
    .name = "LRN",
    .doc = "Local response normalisation across neighbouring channels.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
};
