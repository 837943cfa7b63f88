/* ir/ops/reducel1.c - ReduceL1: the sum of absolute values along axes. */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/reduce_util.h"

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    gml_value *x = cx->node->operands[0];
    bool keeps = gml_reduce_keeps(cx->node);
    gml_value *size = gml_build_unary(&b, &gml_op_abs, x);
    cx->results[0] = gml_reduce_build(cx, &b, &gml_op_reducesum, size, keeps);
    return b.status;
}

const gml_op_info gml_op_reducel1 = {
    .name = "ReduceL1",
    .doc = "The sum of absolute values along axes.",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .value_operands = GML_REDUCE_AXES,
    .attrs = gml_reduce_attrs,
    .infer = gml_reduce_infer,
    .expand = expand,
};
