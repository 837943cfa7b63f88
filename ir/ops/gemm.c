/* ir/ops/gemm.c - Gemm: alpha A' B' + beta C, where ' is an optional transpose. */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"

#include <math.h>

static const gml_attr_spec attrs[] = {
    {"alpha", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1.0F},
    {"beta", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1.0F},
    {"transA", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"transB", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *a;
    const gml_type *b;
    GML_TRY(gml_infer_tensor(cx, 0, &a));
    GML_TRY(gml_infer_tensor(cx, 1, &b));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER));
    GML_TRY(gml_expect_dtype(cx, 1, a->dtype));
    GML_TRY(gml_expect_dtype(cx, 2, a->dtype));
    GML_TRY(gml_expect_rank(cx, 0, 2));
    GML_TRY(gml_expect_rank(cx, 1, 2));
    int trans_a = gml_node_int(cx->node, "transA", 0) != 0;
    int trans_b = gml_node_int(cx->node, "transB", 0) != 0;
    GML_TRY(gml_expect_dim(cx, 1, trans_b, a->dims[1 - trans_a]));
    gml_dim dims[GML_MAX_RANK] = {a->dims[trans_a], b->dims[1 - trans_b]};
    if (gml_has_operand(cx->node, 2)) {
        const gml_type *c;
        GML_TRY(gml_infer_tensor(cx, 2, &c));
        if (c->rank > 2)
            return gml_infer_fail(cx, GML_E_SHAPE, "operand 2 has rank %d, more than 2",
                                  c->rank);
        gml_dim both[GML_MAX_RANK];
        int rank;
        GML_TRY(gml_infer_broadcast_dims(cx, 2, dims, c->rank, c->dims, &rank, both));
        if (gml_infer_differ(cx, both[0], dims[0]) || gml_infer_differ(cx, both[1], dims[1]))
            return gml_infer_fail(cx, GML_E_SHAPE, "operand 2 is larger than the product");
    }
    return gml_infer_set(cx, 0, a->dtype, 2, dims);
}

/* x * factor; integers by a fraction go through f64 and are cut towards zero. */
static gml_value *scaled(gml_build *b, gml_value *x, double factor)
{
    if (factor == 1.0)
        return x;
    gml_dtype dtype = x->type.dtype;
    if (gml_dtype_is_float(dtype) || floor(factor) == factor)
        return gml_build_mul_scalar(b, x, factor);
    gml_value *wide = gml_build_mul_scalar(b, gml_build_cast(b, x, GML_F64), factor);
    return gml_build_cast(b, wide, dtype);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    static const int64_t swap[] = {1, 0};
    gml_value *sides[2] = {node->operands[0], node->operands[1]};
    if (gml_node_int(node, "transA", 0))
        sides[0] = gml_build_transpose(&b, sides[0], swap, 2);
    if (gml_node_int(node, "transB", 0))
        sides[1] = gml_build_transpose(&b, sides[1], swap, 2);
    gml_value *product = gml_build_matmul(&b, sides[0], sides[1]);
    product = scaled(&b, product, (double)gml_node_float(node, "alpha", 1.0F));
    double beta = (double)gml_node_float(node, "beta", 1.0F);
    if (gml_has_operand(node, 2) && beta != 0.0)
        product = gml_build_add(&b, product, scaled(&b, node->operands[2], beta));
    cx->results[0] = product;
    return b.status;
}

const gml_op_info gml_op_gemm = {
    .name = "Gemm",
    .doc = "A matrix product with optional transposes, scaled, plus a scaled bias.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
