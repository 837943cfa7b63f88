/* ir/ops/reducesumsquare.c - ReduceSumSquare: the sum of squares along axes. */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/reduce_util.h"

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    gml_value *x = cx->node->operands[0];
    bool keeps = gml_reduce_keeps(cx->node);
    gml_value *wide = gml_build_cast(&b, x, gml_compute_dtype(x->type.dtype));
    gml_value *square = gml_build_mul(&b, wide, wide);
    gml_value *sum = gml_reduce_build(cx, &b, &gml_op_reducesum, square, keeps);
    cx->results[0] = gml_build_cast(&b, sum, x->type.dtype);
    return b.status;
}

const gml_op_info gml_op_reducesumsquare = {
    .name = "ReduceSumSquare",
    .doc = "The sum of squares along axes.",
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
