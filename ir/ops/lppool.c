/* ir/ops/lppool.c - LpPool: (sum |x|^p)^(1/p) under a sliding window. */
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
};
