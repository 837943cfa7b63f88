/* ir/ops/reducelogsumexp.c - ReduceLogSumExp: log(sum(exp(x))) along axes.
 *
 * As m + log(sum(exp(x - m))) with m the maximum, so that no exponential overflows; m is 0
 * where the maximum is infinite, since inf - inf is no number. */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/reduce_util.h"

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    gml_value *x = cx->node->operands[0];
    bool keeps = gml_reduce_keeps(cx->node);
    gml_value *real = gml_build_cast(&b, x, gml_reduce_real_dtype(x->type.dtype));
    gml_value *max = gml_reduce_build(cx, &b, &gml_op_reducemax, real, true);
    gml_value *zero = gml_build_scalar(&b, real->type.dtype, 0);
    max = gml_build_where(&b, gml_build_unary(&b, &gml_op_isinf, max), zero, max);
    gml_value *exp = gml_build_unary(&b, &gml_op_exp, gml_build_sub(&b, real, max));
    gml_value *sum = gml_reduce_build(cx, &b, &gml_op_reducesum, exp, keeps);
    gml_value *log = gml_build_unary(&b, &gml_op_log, sum);
    if (!keeps) /* the sum of one element each: the same values in the result's shape */
        max = gml_reduce_build(cx, &b, &gml_op_reducesum, max, false);
    cx->results[0] = gml_build_cast(&b, gml_build_add(&b, log, max), x->type.dtype);
    return b.status;
}

const gml_op_info gml_op_reducelogsumexp = {
    .name = "ReduceLogSumExp",
    .doc = "The logarithm of the sum of exponentials along axes.",
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
