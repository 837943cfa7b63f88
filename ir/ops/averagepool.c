/* ir/ops/averagepool.c - AveragePool: the mean under a window that slides over every channel.
 */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/conv_grad_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/window_util.h"

static const gml_attr_spec attrs[] = {
    {"auto_pad", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "NOTSET"},
    {"ceil_mode", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"count_include_pad", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"dilations", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"kernel_shape", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"pads", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"strides", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    return gml_pool_infer(cx);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    gml_window window;
    gml_window_lower(x, node, NULL, &window);
    const gml_axis *axes[GML_MAX_RANK];
    gml_window_axes(x, &window, axes);
    const gml_expr *at[GML_MAX_RANK] = {index[0], index[1]};
    const gml_expr *inside = gml_window_positions(x, &window, index + 2, axes, at + 2);
    gml_dtype dtype = gml_result_dtype(x, result);
    const gml_expr *element = gml_at_if(x, 0, at, inside, gml_const(x, dtype, 0));
    const gml_expr *sum =
        gml_reduce_over(x, GML_REDUCE_SUM, axes, (unsigned)window.rank, gml_wide(x, element));
    bool padded = gml_node_int(node, "count_include_pad", 0) != 0;
    const gml_expr *count = gml_window_count(x, &window, index + 2, padded);
    return gml_cast(x, gml_div(x, sum, gml_cast(x, count, sum->dtype)), dtype);
}

/* How many elements each mean is of: all taps, or those inside the input. */
static gml_value *counts(gml_grad *g, const gml_window *window, bool padded)
{
    gml_build *b = &g->b;
    gml_dtype dtype = g->results[0]->type.dtype;
    double all = 1;
    bool inside = true;
    for (int d = 0; d < window->rank; d++) {
        all *= (double)window->kernel[d];
        inside = inside && window->pad_begin[d] == 0 && window->pad_end[d] == 0;
    }
    if (inside || padded)
        return gml_build_scalar(b, dtype, all);
    gml_value *input = gml_conv_build_ones(b, dtype, 1, window->in, window->rank);
    gml_value *weight = gml_conv_build_ones(b, dtype, 1, window->kernel, window->rank);
    return gml_conv_build(b, input, weight, window, 1);
}

/* Each element's gradient goes, in equal parts, to what it is the mean of. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    const gml_type *x = &g->node->operands[0]->type;
    gml_window window;
    if (gml_window_read(&window, &g->node->graph->module->dims, g->node, NULL))
        GML_BUG("a window that infer accepted");
    if (!gml_window_is_known(&window) || !gml_dim_is_const(x->dims[1]) ||
        gml_node_int(g->node, "ceil_mode", 0) != 0)
        return gml_fail(
            b->diags, GML_E_UNSUPPORTED, g->node->loc,
            "the gradient needs sizes that are known when compiling, and no ceil_mode");
    bool padded = gml_node_int(g->node, "count_include_pad", 0) != 0;
    gml_value *share = gml_build_div(b, g->results[0], counts(g, &window, padded));
    gml_value *weight =
        gml_conv_build_ones(b, x->dtype, x->dims[1], window.kernel, window.rank);
    return gml_conv_grad_input(g, share, weight, &window, x->dims[1], &g->operands[0]);
}

const gml_op_info gml_op_averagepool = {
    .name = "AveragePool",
    .doc = "The mean under a window that slides over every channel.",
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
