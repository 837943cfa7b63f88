/* ir/ops/hannwindow.c - HannWindow: 1/2 - 1/2 cos(t). */
#include "ir/ops/window_function_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)node;
    (void)result;
    static const double coefficients[] = {0.5, -0.5, 0};
    return gml_window_function_lower(x, index[0], coefficients);
}

const gml_op_info gml_op_hannwindow = {
    .name = "HannWindow",
    .doc = "A Hann window of a given size.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .value_operands = 1U << 0,
    .attrs = gml_window_function_attrs,
    .infer = gml_window_function_infer,
    .lower = lower,
};
