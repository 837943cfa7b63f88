#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"inputdimensions", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    size_t n_widths = 0;
    const int64_t *widths = gml_node_ints(cx->node, "inputdimensions", &n_widths);
    gml_dim dims[2] = {0, 0};
    for (unsigned k = 0; k < cx->node->n_operands; k++) {
        const gml_type *x = NULL;
        GML_TRY(gml_infer_expect(cx, k, GML_SET_FEATURES));
        GML_TRY(gml_infer_tensor(cx, k, &x));
        if (x->rank < 1 || x->rank > 2)
            return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has rank %d, not 1 or 2", k,
                                  x->rank);
        gml_dim width = x->rank == 2 ? x->dims[1] : 1;
        if (k < n_widths)
            width = widths[k];
        if (k < n_widths && (width < 0 || width >= GML_DIM_LIMIT))
            return gml_infer_fail(cx, GML_E_RANGE, "inputdimensions has %lld",
                                  (long long)width);
        dims[0] = k == 0 ? x->dims[0] : dims[0];
        dims[1] = gml_dim_add(cx->dims, dims[1], width);
    }
    return gml_infer_set(cx, 0, GML_F32, 2, dims);
}

/* Each operand's part, cut out. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_dim_pool *pool = &g->node->graph->module->dims;
    size_t n_widths = 0;
    const int64_t *widths = gml_node_ints(g->node, "inputdimensions", &n_widths);
    gml_dim begin = 0;
    for (uint32_t k = 0; k < g->node->n_operands; k++) {
        gml_value *x = g->node->operands[k];
        gml_dim given = x->type.rank == 2 ? x->type.dims[1] : 1;
        gml_dim end = gml_dim_add(pool, begin, k < n_widths ? widths[k] : given);
        gml_value *part = gml_build_part(b, g->results[0], 1, begin, end);
        part = gml_build_resized(b, part, 1, given);
        if (g->wanted[k])
            g->operands[k] = gml_grad_reshape_like(b, part, x);
        begin = end;
    }
    return b->status;
}

const gml_op_info gml_op_featurevectorizer = {
    .name = "FeatureVectorizer",
    .domain = "ai.onnx.ml",
    .doc = "The features of several operands, side by side.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "featurevectorizer",
};
