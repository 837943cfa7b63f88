/* ir/ops/lpnormalization.c - LpNormalization: x over its 1- or 2-norm along an axis; 0 where
 * that is 0. */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = -1},
    {"p", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 2},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    int axis;
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", -1), type->rank, &axis));
    int64_t p = gml_node_int(cx->node, "p", 2);
    if (p != 1 && p != 2)
        return gml_infer_fail(cx, GML_E_RANGE, "p is %lld, neither 1 nor 2", (long long)p);
    return gml_infer_same(cx);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_value *x = node->operands[0];
    gml_value *wide = gml_build_cast(&b, x, gml_compute_dtype(x->type.dtype));
    int64_t axis = gml_node_int(node, "axis", -1);
    const gml_op_info *reduce =
        gml_node_int(node, "p", 2) == 1 ? &gml_op_reducel1 : &gml_op_reducel2;
    gml_value *norm = gml_build_reduce(&b, reduce, wide, &axis, 1, true);
    gml_value *zero = gml_build_scalar(&b, wide->type.dtype, 0);
    gml_value *one = gml_build_scalar(&b, wide->type.dtype, 1);
    /* where the norm is 0 every element is: any divisor gives the zeros wanted */
    gml_value *divisor =
        gml_build_where(&b, gml_build_binary(&b, &gml_op_equal, norm, zero), one, norm);
    cx->results[0] = gml_build_cast(&b, gml_build_div(&b, wide, divisor), x->type.dtype);
    return b.status;
}

const gml_op_info gml_op_lpnormalization = {
    .name = "LpNormalization",
    .doc = "A tensor over its norm along an axis.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
