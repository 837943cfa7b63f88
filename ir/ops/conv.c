/* ir/ops/conv.c - Conv: convolution in any number of spatial dimensions.
 *
 * X (N, C, in…), W (M, C/group, kernel…), B (M), Y (N, M, out…). Output channel m belongs to
 * group m / (M/group) and reads the input channels of that group.
 */
#include "ir/grad.h"
#include "ir/ops/conv_grad_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/window_util.h"

static const gml_attr_spec attrs[] = {
    {"auto_pad", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "NOTSET"},
    {"dilations", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"group", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"kernel_shape", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
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
    GML_TRY(gml_expect_vector(cx, 2, weight->dims[0]));
    int64_t group = 1;
    GML_TRY(gml_expect_count(cx, "group", &group));
    GML_TRY(gml_expect_dim(cx, 0, 1, gml_dim_mul(cx->dims, weight->dims[1], group)));
    if (gml_infer_leaves_rest(cx, weight->dims[0], group))
        return gml_infer_fail(cx, GML_E_SHAPE,
                              "%lld output channels do not divide by %lld groups",
                              (long long)weight->dims[0], (long long)group);
    gml_window window;
    GML_TRY(gml_window_infer(cx, weight->dims + 2, &window));
    gml_dim dims[GML_MAX_RANK] = {input->dims[0], weight->dims[0]};
    for (int d = 0; d < window.rank; d++)
        dims[d + 2] = window.out[d];
    return gml_infer_set(cx, 0, input->dtype, input->rank, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_type *weight = gml_operand_type(node, 1);
    gml_window window;
    gml_window_lower(x, node, weight->dims + 2, &window);
    const gml_axis *axes[GML_MAX_RANK];
    axes[0] = gml_reduce_axis(x, weight->dims[1]);
    gml_window_axes(x, &window, axes + 1);
    const gml_expr *channel = gml_axis_value(x, axes[0]); /* within the group */

    const gml_expr *at_input[GML_MAX_RANK] = {index[0], channel};
    const gml_expr *at_weight[GML_MAX_RANK] = {index[1], channel};
    int64_t group = gml_node_int(node, "group", 1);
    if (group > 1) {
        gml_dim per_group = gml_dim_div(x->kernel->dims, weight->dims[0], group);
        const gml_expr *which = gml_floordiv(x, index[1], gml_size(x, per_group));
        at_input[1] = gml_add(x, gml_mul(x, which, gml_size(x, weight->dims[1])), channel);
    }
    const gml_expr *inside =
        gml_window_positions(x, &window, index + 2, axes + 1, at_input + 2);
    for (int d = 0; d < window.rank; d++)
        at_weight[d + 2] = gml_axis_value(x, axes[d + 1]);

    gml_dtype dtype = gml_result_dtype(x, result);
    const gml_expr *tap = inside ? gml_at_if(x, 0, at_input, inside, gml_const(x, dtype, 0))
                                 : gml_at(x, 0, at_input);
    const gml_expr *product =
        gml_mul(x, gml_wide(x, tap), gml_wide(x, gml_at(x, 1, at_weight)));
    const gml_expr *sum =
        gml_reduce_over(x, GML_REDUCE_SUM, axes, (unsigned)window.rank + 1, product);
    if (gml_has_operand(node, 2))
        sum = gml_add(x, sum, gml_wide(x, gml_at(x, 2, &index[1])));
    return gml_cast(x, sum, dtype);
}

static gml_status grad(gml_grad *g)
{
    gml_value *const *in = g->node->operands;
    gml_value *dy = g->results[0];
    gml_dim_pool *pool = &g->node->graph->module->dims;
    int64_t group = gml_node_int(g->node, "group", 1);
    gml_window window;
    if (gml_window_read(&window, pool, g->node, in[1]->type.dims + 2))
        GML_BUG("a window that infer accepted");
    if (g->wanted[0])
        g->operands[0] = gml_conv_grad_input(g, dy, in[1], &window, group);
    if (g->wanted[1])
        g->operands[1] = gml_conv_grad_weight(g, in[0], dy, &window, group);
    if (g->node->n_operands > 2 && g->wanted[2])
        g->operands[2] = gml_conv_grad_bias(g, dy);
    return g->b.status;
}

const gml_op_info gml_op_conv = {
    .name = "Conv",
    .doc = "Convolution with groups, strides, dilations and padding.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES | GML_CONTRACTION | GML_CHANNELS,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
