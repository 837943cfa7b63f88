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

/* How many taps are inside the input along axis `d`, or with `padded` inside its padding: a
 * vector of the result's length. */
static gml_value *count_taps(gml_build *b, const gml_window *window, int d, bool padded)
{
    gml_dim_pool *pool = &b->graph->module->dims;
    int64_t last = 1;
    gml_dim first = padded ? gml_dim_sub(pool, 0, window->pad_begin[d]) : 0;
    gml_dim end = padded ? gml_dim_add(pool, window->in[d], window->pad_end[d]) : window->in[d];
    gml_value *start = gml_build_range(b, window->out[d]);
    start = gml_build_mul_scalar(b, start, (double)window->stride[d]);
    start = gml_build_sub(b, start, gml_build_size(b, GML_I64, window->pad_begin[d]));
    gml_value *tap = gml_build_range(b, window->kernel[d]);
    tap = gml_build_mul_scalar(b, tap, (double)window->dilation[d]);
    gml_value *at = gml_build_add(b, gml_build_unsqueeze(b, start, &last, 1), tap);
    gml_value *low =
        gml_build_binary(b, &gml_op_lessorequal, gml_build_size(b, GML_I64, first), at);
    gml_value *high = gml_build_binary(b, &gml_op_less, at, gml_build_size(b, GML_I64, end));
    gml_value *inside = gml_build_binary(b, &gml_op_and, low, high);
    inside = gml_build_cast(b, inside, GML_I64);
    return gml_build_reduce(b, &gml_op_reducesum, inside, &last, 1, false);
}

/* `dy` over the number of elements that each mean is of. */
static gml_value *shares(gml_grad *g, const gml_window *window, bool padded)
{
    gml_build *b = &g->b;
    gml_value *share = g->results[0];
    for (int d = 0; d < window->rank; d++) {
        gml_dim line[GML_MAX_RANK];
        for (int i = 0; i < window->rank; i++)
            line[i] = i == d ? window->out[d] : 1;
        gml_value *count = count_taps(b, window, d, padded);
        count = gml_build_cast(b, count, share->type.dtype);
        count = gml_build_reshape(b, count, line, (size_t)window->rank);
        share = gml_build_div(b, share, count);
    }
    return share;
}

/* Each element's gradient goes, in equal parts, to what it is the mean of. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    const gml_type *x = &g->node->operands[0]->type;
    gml_window window;
    if (gml_window_read(&window, &g->node->graph->module->dims, g->node, NULL))
        GML_BUG("a window that infer accepted");
    if (!gml_dim_is_const(x->dims[1]))
        return gml_fail(b->diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the gradient needs a number of channels that is known when compiling");
    bool padded = gml_node_int(g->node, "count_include_pad", 0) != 0;
    gml_value *share = shares(g, &window, padded);
    gml_value *weight =
        gml_conv_build_ones(b, x->dtype, x->dims[1], window.kernel, window.rank);
    g->operands[0] = gml_conv_grad_input(g, share, weight, &window, x->dims[1]);
    return b->status;
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
