#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"norm", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "MAX"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES));
    return gml_infer_shaped(cx, 0, 0, GML_F32);
}

/* x over the norm of its row, which is 1 instead of 0. */
static gml_value *formula(gml_grad *g, gml_value *const *operands)
{
    gml_build *b = &g->b;
    gml_value *x = operands[0];
    gml_dtype dtype = x->type.dtype;
    bool is_l2 = gml_node_string_is(g->node, "norm", "L2");
    bool is_l1 = gml_node_string_is(g->node, "norm", "L1");
    int64_t last = -1;
    gml_value *size = is_l2 ? gml_build_mul(b, x, x) : gml_build_unary(b, &gml_op_abs, x);
    gml_value *norm = gml_build_reduce(
        b, is_l1 || is_l2 ? &gml_op_reducesum : &gml_op_reducemax, size, &last, 1, true);
    gml_value *some = gml_build_binary(b, &gml_op_less, gml_build_scalar(b, dtype, 0), norm);
    norm = gml_build_where(b, some, norm, gml_build_scalar(b, dtype, 1));
    norm = is_l2 ? gml_build_sqrt(b, norm) : norm;
    return gml_build_cast(b, gml_build_div(b, x, norm), GML_F32);
}

static gml_status grad(gml_grad *g)
{
    if (g->node->operands[0]->type.rank < 1)
        return gml_fail(g->b.diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the gradient needs the rank of the features");
    return gml_grad_by_formula(g, formula);
}

const gml_op_info gml_op_normalizer = {
    .name = "Normalizer",
    .domain = "ai.onnx.ml",
    .doc = "Features divided by the norm of their row.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "normalizer",
};
