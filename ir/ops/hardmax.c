/* ir/ops/hardmax.c - Hardmax: 1 at the first greatest element along an axis, 0 elsewhere. */
#include "ir/grad.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/reduce_util.h"
#include "ir/ops/softmax_util.h"

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    int axis = gml_softmax_axis(node);
    const gml_expr *first = gml_reduce_position(x, GML_REDUCE_MAX, axis, false, index);
    gml_dtype dtype = gml_result_dtype(x, result);
    return gml_select(x, gml_eq(x, first, index[axis]), gml_const(x, dtype, 1),
                      gml_const(x, dtype, 0));
}

/* Constant but for jumps. */
static gml_status grad(gml_grad *g)
{
    (void)g;
    return GML_OK;
}

const gml_op_info gml_op_hardmax = {
    .name = "Hardmax",
    .doc = "1 at the first greatest element along an axis, 0 elsewhere.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = gml_softmax_attrs,
    .infer = gml_softmax_infer,
    .lower = lower,
    .grad = grad,
};
