#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"offset", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"scale", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES));
    return gml_infer_shaped(cx, 0, 0, GML_F32);
}

static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    size_t n = 0;
    const float *scales = gml_node_floats(g->node, "scale", &n);
    g->operands[0] =
        n ? gml_build_mul(b, g->results[0], gml_build_floats(b, GML_F32, scales, n))
          : g->results[0];
    return b->status;
}

const gml_op_info gml_op_scaler = {
    .name = "Scaler",
    .domain = "ai.onnx.ml",
    .doc = "Features less an offset, times a scale.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "scaler",
};
