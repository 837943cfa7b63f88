/* ir/ops/reducelogsum.c - ReduceLogSum: the logarithm of the sum along axes. */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/reduce_util.h"

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    gml_value *x = cx->node->operands[0];
    bool keeps = gml_reduce_keeps(cx->node);
    gml_value *real = gml_build_cast(&b, x, gml_reduce_real_dtype(x->type.dtype));
    gml_value *sum = gml_reduce_build(cx, &b, &gml_op_reducesum, real, keeps);
    gml_value *log = gml_build_unary(&b, &gml_op_log, sum);
    cx->results[0] = gml_build_cast(&b, log, x->type.dtype);
    return b.status;
}

const gml_op_info gml_op_reducelogsum = {
    .name = "ReduceLogSum",
    .doc = "The logarithm of the sum along axes.",
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
