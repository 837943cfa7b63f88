/* ir/ops/lrn.c - LRN: local response normalisation across channels.
 *
 *     y[n,c,…] = x[n,c,…] / (bias + alpha / size * sum(x[n,i,…]^2))^beta
 * where i runs over c - floor((size-1)/2) to c + ceil((size-1)/2), inside the channels.
 */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
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

/* The sum over the neighbouring channels that `near` before and `far` after a channel make. */
static gml_value *sum_channels(gml_build *b, gml_value *x, int64_t near, int64_t far)
{
    gml_dim_pool *pool = &b->graph->module->dims;
    gml_dim space = 1;
    for (int d = 2; d < x->type.rank; d++)
        space = gml_dim_mul(pool, space, x->type.dims[d]);
    gml_dim flat[4] = {x->type.dims[0], 1, x->type.dims[1], space};
    gml_dim window[4] = {1, 1, near + far + 1, 1};
    gml_value *one = gml_build_scalar(b, x->type.dtype, 1);
    gml_value *shape[2] = {one, gml_build_dims(b, window, 4)};
    gml_value *weight = gml_build_op(b, &gml_op_expand, shape, 2, NULL, 0);
    int64_t *pads = gml_new_array(&b->graph->module->arena, int64_t, 4);
    pads[0] = near;
    pads[2] = far;
    gml_attr attr = gml_attr_ints("pads", pads, 4);
    gml_value *operands[2] = {gml_build_reshape(b, x, flat, 4), weight};
    gml_value *sum = gml_build_op(b, &gml_op_conv, operands, 2, &attr, 1);
    return gml_grad_reshape_like(b, sum, x);
}

/* With s what is in brackets: dx = dy s^-beta - 2 alpha beta / size x sum'(dy x s^(-beta-1)),
 * the sum over the channels whose windows x is in. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    const gml_node *node = g->node;
    gml_value *x = node->operands[0];
    gml_dtype dtype = x->type.dtype;
    int64_t size = gml_node_int(node, "size", 1);
    int64_t before = (size - 1) / 2;
    double alpha = (double)gml_node_float(node, "alpha", 0) / (double)size;
    double beta = (double)gml_node_float(node, "beta", 0);
    gml_value *s = sum_channels(b, gml_build_mul(b, x, x), before, size - 1 - before);
    s = gml_build_mul_scalar(b, s, alpha);
    s = gml_build_add_scalar(b, s, (double)gml_node_float(node, "bias", 0));
    gml_value *power = gml_build_binary(b, &gml_op_pow, s, gml_build_scalar(b, dtype, -beta));
    gml_value *direct = gml_build_mul(b, g->results[0], power);
    gml_value *inner = gml_build_div(b, gml_build_mul(b, direct, x), s);
    inner = sum_channels(b, inner, size - 1 - before, before);
    inner = gml_build_mul_scalar(b, gml_build_mul(b, x, inner), 2 * alpha * beta);
    g->operands[0] = gml_build_sub(b, direct, inner);
    return b->status;
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
    .grad = grad,
};
