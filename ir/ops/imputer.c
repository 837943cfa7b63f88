#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

#include <math.h>

static const gml_attr_spec attrs[] = {
    {"imputed_value_floats", GML_ATTR_FLOATS, GML_ATTR_OPTIONAL},
    {"imputed_value_int64s", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"replaced_value_float", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {"replaced_value_int64", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_FEATURES));
    return gml_infer_same(cx);
}

/* What was missing has gradient zero. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *x = g->node->operands[0];
    double missing = (double)gml_node_float(g->node, "replaced_value_float", 0);
    gml_value *given = gml_build_scalar(b, x->type.dtype, missing);
    gml_value *gone = isnan(missing) ? gml_build_unary(b, &gml_op_isnan, x)
                                     : gml_build_binary(b, &gml_op_equal, x, given);
    g->operands[0] =
        gml_build_where(b, gone, gml_build_scalar(b, x->type.dtype, 0), g->results[0]);
    return b->status;
}

const gml_op_info gml_op_imputer = {
    .name = "Imputer",
    .domain = "ai.onnx.ml",
    .doc = "Fills in missing features.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "imputer",
};
