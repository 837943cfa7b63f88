/* ir/ops/flexattention.c - FlexAttention: attention with regions that change scores and shares.
 *
 *     scores = score_mod(q k' * scale);  shares = prob_mod(softmax(scores));  y = shares v
 *
 * Both regions take and give (B, Hq, S, T) in the type softmax_precision: by default f32, f64
 * for f64. They are copied into the graph, where they fuse like anything else.
 */
#include "ir/infer_host.h"
#include "ir/ops/attention_util.h"
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/region_util.h"

#include <math.h>

static const gml_attr_spec attrs[] = {
    {"prob_mod", GML_ATTR_GRAPH, GML_ATTR_OPTIONAL},
    {"scale", GML_ATTR_FLOAT, GML_ATTR_OPTIONAL},
    {"score_mod", GML_ATTR_GRAPH, GML_ATTR_OPTIONAL},
    {"softmax_precision", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_dtype softmax_dtype(const gml_node *node)
{
    gml_dtype usual = gml_compute_dtype(gml_operand_type(node, 0)->dtype);
    int64_t number = gml_node_int(node, "softmax_precision", usual);
    return number > 0 && number < GML_DTYPE_COUNT ? (gml_dtype)number : GML_NONE;
}

/* Types the region for the shape of the scores. A region of another module than the node's
 * belongs to whoever copied the node, and is typed already. */
static gml_status infer_region(gml_infer *cx, const char *name, const gml_type *scores)
{
    gml_graph *region = gml_node_region(cx->node, name);
    if (!region)
        return GML_OK;
    if (region->n_params != 1 || region->n_results != 1)
        return gml_infer_fail(cx, GML_E_INVALID,
                              "%s has %u parameters and %u results, not one each", name,
                              region->n_params, region->n_results);
    if (region->module != cx->module)
        return GML_OK;
    region->params[0]->type = *scores;
    GML_TRY(gml_region_infer(cx, region));
    if (region->results[0]->type.dtype != scores->dtype)
        return gml_infer_fail(cx, GML_E_TYPE, "the result of %s has element type %s, not %s",
                              name, gml_dtype_name(region->results[0]->type.dtype),
                              gml_dtype_name(scores->dtype));
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *types[3];
    for (unsigned i = 0; i < 3; i++) {
        GML_TRY(gml_infer_tensor(cx, i, &types[i]));
        GML_TRY(gml_infer_require(cx, i, GML_IS_FLOAT));
        GML_TRY(gml_expect_rank(cx, i, 4));
        GML_TRY(gml_expect_dtype(cx, i, types[0]->dtype));
    }
    const gml_dim *q = types[0]->dims;
    const gml_dim *k = types[1]->dims;
    const gml_dim *v = types[2]->dims;
    if (gml_infer_differ(cx, q[0], k[0]) || gml_infer_differ(cx, q[3], k[3]) ||
        gml_infer_differ(cx, k[0], v[0]) || gml_infer_differ(cx, k[1], v[1]) ||
        gml_infer_differ(cx, k[2], v[2]))
        return gml_infer_fail(cx, GML_E_SHAPE, "query, key and value do not fit each other");
    if (gml_infer_leaves_rest(cx, q[1], k[1]))
        return gml_infer_fail(cx, GML_E_SHAPE, "%lld query heads do not share %lld key heads",
                              (long long)q[1], (long long)k[1]);
    gml_dtype dtype = softmax_dtype(cx->node);
    if (!gml_dtype_is_float(dtype))
        return gml_infer_fail(cx, GML_E_TYPE, "softmax_precision is no float type");
    gml_dim dims[4] = {q[0], q[1], q[2], k[2]};
    gml_type scores = gml_type_tensor(cx->arena, dtype, 4, dims);
    GML_TRY(infer_region(cx, "score_mod", &scores));
    GML_TRY(infer_region(cx, "prob_mod", &scores));
    dims[3] = v[3];
    return gml_infer_set(cx, 0, types[0]->dtype, 4, dims);
}

static gml_value *modified(gml_build *b, const gml_node *node, const char *name, gml_value *x)
{
    const gml_graph *region = gml_node_region(node, name);
    if (!region)
        return x;
    gml_value *result;
    gml_build_region(b, region, &x, &result);
    return result;
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_dtype dtype = node->operands[0]->type.dtype;
    gml_dtype wide = gml_compute_dtype(dtype);
    gml_dtype precision = softmax_dtype(node);
    double scale;
    GML_TRY(gml_attention_scale(cx, gml_value_dim(node->operands[0], 3), -INFINITY, &scale));
    gml_value *scores =
        gml_attention_scores(&b, gml_build_cast(&b, node->operands[0], wide),
                             gml_build_cast(&b, node->operands[1], wide), scale);
    scores = modified(&b, node, "score_mod", gml_build_cast(&b, scores, precision));
    gml_value *shares = modified(&b, node, "prob_mod", gml_build_softmax(&b, scores));
    gml_value *v = gml_build_cast(&b, node->operands[2], precision);
    cx->results[0] = gml_build_cast(&b, gml_attention_apply(&b, shares, v), dtype);
    return b.status;
}

const gml_op_info gml_op_flexattention = {
    .name = "FlexAttention",
    .domain = "ai.onnx.preview",
    .doc = "Attention with regions that change the scores and the probabilities.",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
