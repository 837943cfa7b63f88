/* ir/ops/blackmanwindow.c - BlackmanWindow: 0.42 - 0.5 cos(t) + 0.08 cos(2 t). */
#include "ir/ops/window_function_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)node;
    (void)result;
    static const double coefficients[] = {0.42, -0.5, 0.08};
    return gml_window_function_lower(x, index[0], coefficients);
}

const gml_op_info gml_op_blackmanwindow = {
    .name = "BlackmanWindow",
    .doc = "A Blackman window of a given size.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .value_operands = 1U << 0,
    .attrs = gml_window_function_attrs,
    .infer = gml_window_function_infer,
    .lower = lower,
};
