/* ir/ops/lppool.c - LpPool: (sum |x|^p)^(1/p) under a sliding window. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/conv_grad_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/window_util.h"

static const gml_attr_spec attrs[] = {
    {"auto_pad", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "NOTSET"},
    {"ceil_mode", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"dilations", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"kernel_shape", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"p", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 2},
    {"pads", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"strides", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    if (gml_node_int(cx->node, "p", 2) < 1)
        return gml_infer_fail(cx, GML_E_RANGE, "p is %lld, not positive",
                              (long long)gml_node_int(cx->node, "p", 2));
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
    element = gml_unary(x, GML_X_ABS, gml_wide(x, element));
    int64_t p = gml_node_int(node, "p", 2);
    const gml_expr *power = element;
    if (p == 2)
        power = gml_mul(x, element, element);
    else if (p != 1)
        power = gml_binary(x, GML_X_POW, element, gml_like(x, element, (double)p));
    const gml_expr *sum =
        gml_reduce_over(x, GML_REDUCE_SUM, axes, (unsigned)window.rank, power);
    if (p == 2)
        sum = gml_unary(x, GML_X_SQRT, sum);
    else if (p != 1)
        sum = gml_binary(x, GML_X_POW, sum, gml_like(x, sum, 1.0 / (double)p));
    return gml_cast(x, sum, dtype);
}

/* dx = sign(x) |x|^(p-1) times what of dy y^(1-p) every window brings back. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *x = g->node->operands[0];
    const gml_type *type = &x->type;
    double p = (double)gml_node_int(g->node, "p", 2);
    gml_window window;
    if (gml_window_read(&window, &g->node->graph->module->dims, g->node, NULL))
        GML_BUG("a window that infer accepted");
    if (!gml_dim_is_const(type->dims[1]))
        return gml_fail(b->diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the gradient needs a number of channels that is known when compiling");
    gml_value *dy = g->results[0];
    if (p != 1) {
        gml_value *less = gml_build_scalar(b, type->dtype, 1 - p);
        gml_value *power = gml_build_binary(b, &gml_op_pow, &g->node->results[0], less);
        dy = gml_build_mul(b, dy, power);
    }
    gml_value *weight =
        gml_conv_build_ones(b, type->dtype, type->dims[1], window.kernel, window.rank);
    gml_value *back = gml_conv_grad_input(g, dy, weight, &window, type->dims[1]);
    gml_value *slope = gml_build_unary(b, &gml_op_sign, x);
    if (p != 1) {
        gml_value *size = gml_build_unary(b, &gml_op_abs, x);
        gml_value *less = gml_build_scalar(b, type->dtype, p - 1);
        slope = gml_build_mul(b, slope, gml_build_binary(b, &gml_op_pow, size, less));
    }
    g->operands[0] = gml_build_mul(b, back, slope);
    return b->status;
}

const gml_op_info gml_op_lppool = {
    .name = "LpPool",
    .doc = "The p-norm under a window that slides over every channel.",
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
