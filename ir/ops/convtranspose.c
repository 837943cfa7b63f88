/* ir/ops/convtranspose.c - ConvTranspose: the gradient of Conv with respect to its input.
 *
 * X (N, C, in…), W (C, M/group, kernel…), B (M), Y (N, M, out…). Input position i and tap k add
 * to output position i * stride + k * dilation - pad. Seen from the output, tap k contributes
 * where o + pad - k * dilation is a multiple of the stride and inside.
 */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/conv_grad_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/window_util.h"

static const gml_attr_spec attrs[] = {
    {"auto_pad", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "NOTSET"},
    {"dilations", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"group", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"kernel_shape", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"output_padding", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"output_shape", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"pads", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"strides", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *input;
    const gml_type *weight;
    GML_TRY(gml_infer_tensor(cx, 0, &input));
    GML_TRY(gml_infer_tensor(cx, 1, &weight));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER));
    GML_TRY(gml_expect_dtype(cx, 1, input->dtype));
    GML_TRY(gml_expect_dtype(cx, 2, input->dtype));
    if (input->rank < 3)
        return gml_infer_fail(cx, GML_E_SHAPE, "the input has rank %d, less than 3",
                              input->rank);
    GML_TRY(gml_expect_rank(cx, 1, input->rank));
    GML_TRY(gml_expect_dim(cx, 1, 0, input->dims[1]));
    int64_t group = 1;
    GML_TRY(gml_expect_count(cx, "group", &group));
    if (gml_infer_leaves_rest(cx, weight->dims[0], group))
        return gml_infer_fail(cx, GML_E_SHAPE,
                              "%lld input channels do not divide by %lld groups",
                              (long long)weight->dims[0], (long long)group);
    gml_dim channels = gml_dim_mul(cx->dims, weight->dims[1], group);
    GML_TRY(gml_expect_vector(cx, 2, channels));
    gml_window window;
    const char *fault =
        gml_window_read_transposed(&window, cx->dims, cx->node, weight->dims + 2);
    if (fault)
        return gml_infer_fail(cx, GML_E_SHAPE, "%s", fault);
    gml_window_assume(cx, weight->dims + 2, &window);
    gml_dim dims[GML_MAX_RANK] = {input->dims[0], channels};
    for (int d = 0; d < window.rank; d++)
        dims[d + 2] = window.out[d];
    return gml_infer_set(cx, 0, input->dtype, input->rank, dims);
}

/* Input positions under the taps, and whether there is one. */
static const gml_expr *positions(gml_lower *x, const gml_window *window,
                                 const gml_expr *const *out, const gml_axis *const *axes,
                                 const gml_expr **out_positions)
{
    const gml_expr *hit = NULL;
    for (int d = 0; d < window->rank; d++) {
        const gml_expr *stride = gml_i64(x, window->stride[d]);
        const gml_expr *tap = gml_axis_value(x, axes[d]);
        tap = gml_mul(x, tap, gml_i64(x, window->dilation[d]));
        const gml_expr *full = gml_add(x, out[d], gml_size(x, window->pad_begin[d]));
        full = gml_sub(x, full, tap);
        out_positions[d] = gml_floordiv(x, full, stride);
        if (window->stride[d] > 1) {
            const gml_expr *rest = gml_floormod(x, full, stride);
            hit = gml_both(x, hit, gml_eq(x, rest, gml_i64(x, 0)));
        }
        hit = gml_both(x, hit, gml_in_range(x, out_positions[d], window->in[d]));
    }
    return hit;
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_type *weight = gml_operand_type(node, 1);
    gml_window window;
    if (gml_window_read_transposed(&window, x->kernel->dims, node, weight->dims + 2))
        GML_BUG("a window that infer accepted");
    gml_dim per_group =
        gml_dim_div(x->kernel->dims, weight->dims[0], gml_node_int(node, "group", 1));
    const gml_axis *axes[GML_MAX_RANK];
    axes[0] = gml_reduce_axis(x, per_group);
    gml_window_axes(x, &window, axes + 1);

    const gml_expr *which = gml_floordiv(x, index[1], gml_size(x, weight->dims[1]));
    const gml_expr *channel =
        gml_add(x, gml_mul(x, which, gml_size(x, per_group)), gml_axis_value(x, axes[0]));
    const gml_expr *at_input[GML_MAX_RANK] = {index[0], channel};
    const gml_expr *hit = positions(x, &window, index + 2, axes + 1, at_input + 2);
    const gml_expr *at_weight[GML_MAX_RANK] = {
        channel, gml_floormod(x, index[1], gml_size(x, weight->dims[1]))};
    for (int d = 0; d < window.rank; d++)
        at_weight[d + 2] = gml_axis_value(x, axes[d + 1]);

    gml_dtype dtype = gml_result_dtype(x, result);
    const gml_expr *element =
        hit ? gml_at_if(x, 0, at_input, hit, gml_const(x, dtype, 0)) : gml_at(x, 0, at_input);
    const gml_expr *product =
        gml_mul(x, gml_wide(x, element), gml_wide(x, gml_at(x, 1, at_weight)));
    const gml_expr *sum =
        gml_reduce_over(x, GML_REDUCE_SUM, axes, (unsigned)window.rank + 1, product);
    if (gml_has_operand(node, 2))
        sum = gml_add(x, sum, gml_wide(x, gml_at(x, 2, &index[1])));
    return gml_cast(x, sum, dtype);
}

/* ConvTranspose is what Conv does to gradients, so Conv is what it does to them. */
static gml_status grad(gml_grad *g)
{
    gml_value *const *in = g->node->operands;
    gml_value *dy = g->results[0];
    gml_dim_pool *pool = &g->node->graph->module->dims;
    int64_t group = gml_node_int(g->node, "group", 1);
    gml_window window;
    if (gml_window_read_transposed(&window, pool, g->node, in[1]->type.dims + 2))
        GML_BUG("a window that infer accepted");
    /* as Conv sees it: from the result to the operand */
    for (int d = 0; d < window.rank; d++) {
        gml_dim in_size = window.in[d];
        window.in[d] = window.out[d];
        window.out[d] = in_size;
    }
    if (g->wanted[0]) {
        gml_value *dx = gml_conv_build(&g->b, dy, in[1], &window, group);
        for (int d = 0; d < window.rank; d++) /* a window in the output padding alone */
            if (dx->type.dims[d + 2] != window.out[d])
                dx = gml_build_part(&g->b, dx, d + 2, 0, window.out[d]);
        g->operands[0] = dx;
    }
    if (g->wanted[1])
        g->operands[1] = gml_conv_grad_weight(g, dy, in[0], &window, group);
    if (g->node->n_operands > 2 && g->wanted[2])
        g->operands[2] = gml_conv_grad_bias(g, dy);
    return g->b.status;
}

const gml_op_info gml_op_convtranspose = {
    .name = "ConvTranspose",
    .doc = "Transposed convolution with groups, strides, dilations and padding.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
