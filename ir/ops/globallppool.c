/* ir/ops/globallppool.c - GlobalLpPool: the p-norm of every channel. */
#include "ir/ops/build_util.h"
#include "ir/ops/global_util.h"

static const gml_attr_spec attrs[] = {
    {"p", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 2},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    int64_t p = gml_node_int(cx->node, "p", 2);
    if (p < 1)
        return gml_infer_fail(cx, GML_E_RANGE, "p is %lld, not positive", (long long)p);
    return gml_global_infer(cx);
}

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    gml_value *x = cx->node->operands[0];
    gml_dtype compute = gml_compute_dtype(x->type.dtype);
    double p = (double)gml_node_int(cx->node, "p", 2);
    gml_value *y = gml_build_cast(&b, x, compute);
    if (p <= 2) {
        y = gml_global_build(&b, p == 1 ? &gml_op_reducel1 : &gml_op_reducel2, y);
    } else {
        y = gml_build_unary(&b, &gml_op_abs, y);
        y = gml_build_binary(&b, &gml_op_pow, y, gml_build_scalar(&b, compute, p));
        y = gml_global_build(&b, &gml_op_reducesum, y);
        y = gml_build_binary(&b, &gml_op_pow, y, gml_build_scalar(&b, compute, 1 / p));
    }
    cx->results[0] = gml_build_cast(&b, y, x->type.dtype);
    return b.status;
}

const gml_op_info gml_op_globallppool = {
    .name = "GlobalLpPool",
    .doc = "The p-norm of every channel.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
