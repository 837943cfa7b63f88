#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"coefficients", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"intercepts", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"post_transform", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "NONE"},
    {"targets", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *x = NULL;
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES));
    GML_TRY(gml_infer_tensor(cx, 0, &x));
    int64_t targets = gml_node_int(cx->node, "targets", 1);
    if (x->rank < 1 || x->rank > 2 || targets < 1 || targets >= GML_DIM_LIMIT)
        return gml_infer_fail(cx, GML_E_SHAPE, "features of rank %d for %lld targets", x->rank,
                              (long long)targets);
    gml_dim rows = x->rank == 2 ? x->dims[0] : 1;
    return gml_infer_set(cx, 0, GML_F32, 2, (const gml_dim[]){rows, targets});
}

static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *x = g->node->operands[0];
    gml_dim width = x->type.dims[x->type.rank - 1];
    int64_t targets = gml_node_int(g->node, "targets", 1);
    size_t n = 0;
    const float *coefficients = gml_node_floats(g->node, "coefficients", &n);
    if (!gml_node_string_is(g->node, "post_transform", "NONE"))
        return gml_fail(b->diags, GML_E_UNSUPPORTED, g->node->loc,
                        "no gradient of scores that are transformed");
    if (!gml_dim_is_const(width) || targets * width != (int64_t)n)
        return gml_fail(b->diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the gradient needs as many coefficients as there are features");
    gml_value *matrix = gml_build_floats(b, GML_F32, coefficients, n);
    matrix = gml_build_reshape(b, matrix, (const gml_dim[]){targets, width}, 2);
    gml_value *dx = gml_build_matmul(b, g->results[0], matrix);
    g->operands[0] = gml_grad_reshape_like(b, dx, x);
    return b->status;
}

const gml_op_info gml_op_linearregressor = {
    .name = "LinearRegressor",
    .domain = "ai.onnx.ml",
    .doc = "Linear scores.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "linearregressor",
};
