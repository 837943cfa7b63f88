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

/* `dy` over the number of elements that each mean is of: the product of the numbers of taps
 * along each axis that are inside the input, or with `padded` inside its padding. */
static gml_value *shares(gml_grad *g, const gml_window *window, bool padded)
{
    gml_build *b = &g->b;
    gml_value *share = g->results[0];
    for (int d = 0; d < window->rank; d++) {
        gml_dim line[GML_MAX_RANK];
        for (int i = 0; i < window->rank; i++)
            line[i] = i == d ? window->out[d] : 1;
        int64_t first = padded ? -window->pad_begin[d] : 0;
        int64_t end = window->in[d] + (padded ? window->pad_end[d] : 0);
        int64_t *counts = gml_new_array(g->scratch, int64_t, (size_t)window->out[d] + 1);
        for (int64_t o = 0; o < window->out[d]; o++)
            for (int64_t k = 0; k < window->kernel[d]; k++) {
                int64_t at =
                    o * window->stride[d] + k * window->dilation[d] - window->pad_begin[d];
                counts[o] += at >= first && at < end;
            }
        gml_value *count = gml_build_ints(b, counts, (size_t)window->out[d]);
        count = gml_build_cast(b, count, share->type.dtype);
        count = gml_build_reshape(b, count, line, (size_t)window->rank);
        share = gml_build_div(b, share, count);
    }
    return share;
}

static bool sizes_are_known(const gml_window *window)
{
    for (int d = 0; d < window->rank; d++)
        if (!gml_dim_is_const(window->in[d]) || !gml_dim_is_const(window->kernel[d]))
            return false;
    return gml_window_is_known(window);
}

/* Each element's gradient goes, in equal parts, to what it is the mean of. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    const gml_type *x = &g->node->operands[0]->type;
    gml_window window;
    if (gml_window_read(&window, &g->node->graph->module->dims, g->node, NULL))
        GML_BUG("a window that infer accepted");
    if (!sizes_are_known(&window) || !gml_dim_is_const(x->dims[1]))
        return gml_fail(b->diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the gradient needs sizes that are known when compiling");
    bool padded = gml_node_int(g->node, "count_include_pad", 0) != 0;
    gml_value *share = shares(g, &window, padded);
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
