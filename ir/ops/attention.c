/* ir/ops/attention.c - Attention: softmax(q k' * scale, capped and masked) v.
 *
 * Q, K, V are (B, H, S, D), or (B, S, H * D) with the numbers of heads as attributes. Past keys
 * and values come before the given ones. A score takes part where all of these hold: a bool
 * mask is true, or a float mask (added) is not -inf; beyond the mask's end nothing is
 *     is_causal: the key's position is at most the query's plus the length of the past
 *     nonpad_kv_seqlen: the key's position is below the sample's length
 * Scores are computed in f32 (f64 for f64), the softmax in softmax_precision when given.
 */
#include "ir/ops/attention_util.h"
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"

#include <math.h>

enum { GML_Q, GML_K, GML_V, GML_MASK, GML_PAST_KEY, GML_PAST_VALUE, GML_LENGTHS };

static const gml_attr_spec attrs[] = {
    {"is_causal", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"kv_num_heads", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"q_num_heads", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"qk_matmul_output_mode", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"scale", GML_ATTR_FLOAT, GML_ATTR_OPTIONAL},
    {"softcap", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {"softmax_precision", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {NULL},
};

/* ---- types --------------------------------------------------------------------------------
 */

/* The shape of operand `k` as (B, H, S, D). */
static gml_status shape_of(gml_infer *cx, unsigned k, const char *heads, gml_dim *out_dims)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, k, &type));
    GML_TRY(gml_infer_require(cx, k, GML_IS_FLOAT));
    if (type->rank != gml_operand_type(cx->node, GML_Q)->rank)
        return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has rank %d, the query another", k,
                              type->rank);
    if (type->rank == 4) {
        for (int d = 0; d < 4; d++)
            out_dims[d] = type->dims[d];
        return GML_OK;
    }
    if (type->rank != 3)
        return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has rank %d, neither 3 nor 4", k,
                              type->rank);
    int64_t n_heads = 1;
    GML_TRY(gml_expect_count(cx, heads, &n_heads));
    if (gml_infer_leaves_rest(cx, type->dims[2], n_heads))
        return gml_infer_fail(cx, GML_E_SHAPE, "%lld elements do not divide by %lld heads",
                              (long long)type->dims[2], (long long)n_heads);
    out_dims[0] = type->dims[0];
    out_dims[1] = n_heads;
    out_dims[2] = type->dims[1];
    out_dims[3] = gml_dim_div(cx->dims, type->dims[2], n_heads);
    return GML_OK;
}

static gml_status check(gml_infer *cx, const gml_dim *q, const gml_dim *k, const gml_dim *v)
{
    if (gml_infer_differ(cx, q[3], k[3]) || gml_infer_differ(cx, k[2], v[2]) ||
        gml_infer_differ(cx, k[1], v[1]) || gml_infer_differ(cx, q[0], k[0]) ||
        gml_infer_differ(cx, q[0], v[0]))
        return gml_infer_fail(cx, GML_E_SHAPE, "query, key and value do not fit each other");
    if (gml_infer_leaves_rest(cx, q[1], k[1]))
        return gml_infer_fail(cx, GML_E_SHAPE, "%lld query heads do not share %lld key heads",
                              (long long)q[1], (long long)k[1]);
    GML_TRY(gml_expect_dtype(cx, GML_K, gml_operand_type(cx->node, GML_Q)->dtype));
    for (unsigned i = 0; i < 2; i++) {
        const gml_dim *now = i ? v : k;
        GML_TRY(gml_expect_rank(cx, GML_PAST_KEY + i, 4));
        GML_TRY(gml_expect_dtype(cx, GML_PAST_KEY + i,
                                 gml_operand_type(cx->node, GML_K + i)->dtype));
        GML_TRY(gml_expect_dim(cx, GML_PAST_KEY + i, 0, now[0]));
        GML_TRY(gml_expect_dim(cx, GML_PAST_KEY + i, 1, now[1]));
        GML_TRY(gml_expect_dim(cx, GML_PAST_KEY + i, 3, now[3]));
    }
    if (gml_has_operand(cx->node, GML_PAST_KEY) != gml_has_operand(cx->node, GML_PAST_VALUE))
        return gml_infer_fail(cx, GML_E_INVALID, "past keys and past values go together");
    GML_TRY(gml_infer_require(cx, GML_LENGTHS, GML_IS_INT));
    GML_TRY(gml_expect_vector(cx, GML_LENGTHS, q[0]));
    int64_t mode = gml_node_int(cx->node, "qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3)
        return gml_infer_fail(cx, GML_E_RANGE, "qk_matmul_output_mode is %lld",
                              (long long)mode);
    int64_t precision = gml_node_int(cx->node, "softmax_precision", GML_F32);
    if (precision <= 0 || precision >= GML_DTYPE_COUNT ||
        !gml_dtype_is_float((gml_dtype)precision))
        return gml_infer_fail(cx, GML_E_TYPE, "softmax_precision %lld is no float type",
                              (long long)precision);
    return GML_OK;
}

/* The mask broadcasts to (B, Hq, S, T), but may end early along T. Sizes that are not known and
 * must broadcast are left to the operators that apply the mask. */
static gml_status check_mask(gml_infer *cx, const gml_dim *scores)
{
    if (!gml_has_operand(cx->node, GML_MASK))
        return GML_OK;
    const gml_type *mask;
    GML_TRY(gml_infer_tensor(cx, GML_MASK, &mask));
    GML_TRY(gml_infer_require(cx, GML_MASK, GML_IS_NUMBER | GML_IS_BOOL));
    if (mask->rank < 1 || mask->rank > 4)
        return gml_infer_fail(cx, GML_E_SHAPE, "the mask has rank %d", mask->rank);
    for (int d = 0; d < mask->rank; d++) {
        gml_dim size = mask->dims[d];
        gml_dim wanted = scores[d + 4 - mask->rank];
        bool last = d == mask->rank - 1;
        if (gml_dim_differs(size, wanted) && size != 1 && !(last && size < wanted))
            return gml_infer_fail(cx, GML_E_SHAPE, "dimension %d of the mask is %lld, not %lld",
                                  d, (long long)size, (long long)wanted);
        if (last && size != 1)
            (void)gml_infer_exceeds(cx, size, wanted);
    }
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *query;
    GML_TRY(gml_infer_tensor(cx, GML_Q, &query));
    gml_dim q[4] = {0};
    gml_dim k[4] = {0};
    gml_dim v[4] = {0};
    GML_TRY(shape_of(cx, GML_Q, "q_num_heads", q));
    GML_TRY(shape_of(cx, GML_K, "kv_num_heads", k));
    GML_TRY(shape_of(cx, GML_V, "kv_num_heads", v));
    GML_TRY(check(cx, q, k, v));
    if (gml_has_operand(cx->node, GML_PAST_KEY)) {
        k[2] = gml_dim_add(cx->dims, k[2], gml_operand_type(cx->node, GML_PAST_KEY)->dims[2]);
        v[2] = gml_dim_add(cx->dims, v[2], gml_operand_type(cx->node, GML_PAST_VALUE)->dims[2]);
    }
    gml_dim scores[4] = {q[0], q[1], q[2], k[2]};
    GML_TRY(check_mask(cx, scores));
    GML_TRY(gml_infer_set(cx, 1, query->dtype, 4, k));
    GML_TRY(gml_infer_set(cx, 2, gml_operand_type(cx->node, GML_V)->dtype, 4, v));
    GML_TRY(gml_infer_set(cx, 3, query->dtype, 4, scores));
    if (query->rank == 4)
        return gml_infer_set(cx, 0, query->dtype, 4, (gml_dim[]){q[0], q[1], q[2], v[3]});
    gml_dim joined[3] = {q[0], q[2], gml_dim_mul(cx->dims, q[1], v[3])};
    return gml_infer_set(cx, 0, query->dtype, 3, joined);
}

/* ---- nodes --------------------------------------------------------------------------------
 */

/* Pads the mask along its last axis up to `total` with what masks. */
static gml_value *padded_mask(gml_build *b, gml_value *mask, gml_dim total)
{
    int rank = mask->type.rank;
    gml_dim missing =
        gml_dim_sub(&b->graph->module->dims, total, gml_value_dim(mask, rank - 1));
    if (gml_dim_is_const(missing) && missing <= 0)
        return mask;
    gml_dim pads[8] = {0};
    pads[2 * rank - 1] = missing;
    double value = mask->type.dtype == GML_BOOL ? 0 : -INFINITY;
    gml_value *operands[] = {mask, gml_build_dims(b, pads, 2 * (size_t)rank),
                             gml_build_scalar(b, mask->type.dtype, value)};
    return gml_build_op(b, &gml_op_pad, operands, 3, NULL, 0);
}

/* true where key position <= query position + past; (S, T) */
static gml_value *causal(gml_build *b, gml_value *scores, gml_dim past)
{
    static const int64_t last[] = {1};
    gml_value *row = gml_build_range(b, gml_value_dim(scores, 2));
    gml_value *column = gml_build_range(b, gml_value_dim(scores, 3));
    gml_value *offset = gml_build_as_scalar(b, gml_build_dims(b, &past, 1));
    row = gml_build_unsqueeze(b, gml_build_add(b, row, offset), last, 1);
    return gml_build_binary(b, &gml_op_lessorequal, column, row);
}

/* true where key position < length of the sample; (B, 1, 1, T) */
static gml_value *within(gml_build *b, gml_value *scores, gml_value *lengths)
{
    static const int64_t others[] = {1, 2, 3};
    gml_value *column = gml_build_range(b, gml_value_dim(scores, 3));
    lengths = gml_build_unsqueeze(b, gml_build_cast(b, lengths, GML_I64), others, 3);
    return gml_build_binary(b, &gml_op_less, column, lengths);
}

static gml_value *masked(gml_expand *cx, gml_build *b, gml_value *scores)
{
    const gml_node *node = cx->node;
    gml_value *open[3]; /* bools; a score is -inf where any is false */
    unsigned n_open = 0;
    if (gml_has_operand(node, GML_MASK)) {
        gml_value *mask = node->operands[GML_MASK];
        gml_dtype dtype = scores->type.dtype;
        if (mask->type.dtype != GML_BOOL)
            mask = gml_build_cast(b, mask, dtype);
        mask = padded_mask(b, mask, gml_value_dim(scores, 3));
        if (mask->type.dtype == GML_BOOL)
            open[n_open++] = mask;
        else
            scores = gml_build_add(b, scores, mask);
    }
    if (gml_node_int(node, "is_causal", 0)) {
        bool has_past = gml_has_operand(node, GML_PAST_KEY);
        gml_dim past = has_past ? gml_value_dim(node->operands[GML_PAST_KEY], 2) : 0;
        open[n_open++] = causal(b, scores, past);
    }
    if (gml_has_operand(node, GML_LENGTHS))
        open[n_open++] = within(b, scores, node->operands[GML_LENGTHS]);
    if (n_open == 0)
        return scores;
    gml_value *all = open[0];
    for (unsigned i = 1; i < n_open; i++)
        all = gml_build_binary(b, &gml_op_and, all, open[i]);
    return gml_build_where(b, all, scores, gml_build_scalar(b, scores->type.dtype, -INFINITY));
}

static gml_value *with_past(gml_build *b, const gml_node *node, unsigned past, gml_value *now)
{
    if (!gml_has_operand(node, past))
        return now;
    gml_value *both[] = {node->operands[past], now};
    return gml_build_concat(b, both, 2, 2);
}

/* softmax of the scores, and in `stages` the scores after each step */
static gml_value *probabilities(gml_expand *cx, gml_build *b, gml_value *scores,
                                gml_value **stages)
{
    const gml_node *node = cx->node;
    double cap = (double)gml_node_float(node, "softcap", 0);
    stages[0] = scores;
    if (cap > 0) {
        scores = gml_build_mul_scalar(b, scores, 1 / cap);
        scores = gml_build_mul_scalar(b, gml_build_unary(b, &gml_op_tanh, scores), cap);
    }
    stages[1] = scores;
    stages[2] = scores = masked(cx, b, scores);
    gml_dtype compute = scores->type.dtype;
    gml_dtype precision = (gml_dtype)gml_node_int(node, "softmax_precision", compute);
    scores = gml_build_softmax(b, gml_build_cast(b, scores, precision));
    stages[3] = gml_build_cast(b, scores, compute);
    return stages[3];
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    bool flat = node->operands[GML_Q]->type.rank == 3;
    gml_value *qkv[3];
    for (unsigned i = 0; i < 3; i++) {
        qkv[i] = node->operands[i];
        if (flat)
            qkv[i] = gml_heads_split(&b, qkv[i],
                                     gml_node_int(node, i ? "kv_num_heads" : "q_num_heads", 1));
    }
    double scale;
    GML_TRY(gml_attention_scale(cx, gml_value_dim(qkv[GML_Q], 3), -INFINITY, &scale));
    qkv[GML_K] = with_past(&b, node, GML_PAST_KEY, qkv[GML_K]);
    qkv[GML_V] = with_past(&b, node, GML_PAST_VALUE, qkv[GML_V]);
    gml_dtype dtype = qkv[GML_Q]->type.dtype;
    gml_dtype compute = gml_compute_dtype(dtype);
    gml_value *scores = gml_attention_scores(&b, gml_build_cast(&b, qkv[GML_Q], compute),
                                             gml_build_cast(&b, qkv[GML_K], compute), scale);
    gml_value *stages[4];
    gml_value *shares = probabilities(cx, &b, scores, stages);
    gml_value *y = gml_attention_apply(&b, shares, gml_build_cast(&b, qkv[GML_V], compute));
    if (flat)
        y = gml_heads_join(&b, y);
    int64_t mode = gml_node_int(node, "qk_matmul_output_mode", 0);
    gml_value *results[] = {gml_build_cast(&b, y, dtype), qkv[GML_K], qkv[GML_V],
                            node->n_results > 3 ? gml_build_cast(&b, stages[mode], dtype)
                                                : NULL};
    for (uint32_t i = 0; i < node->n_results; i++)
        cx->results[i] = results[i];
    return b.status;
}

const gml_op_info gml_op_attention = {
    .name = "Attention",
    .doc = "Scaled dot-product attention with masks, grouped heads and a cache.",
    .min_in = 3,
    .max_in = 7,
    .min_out = 1,
    .max_out = 4,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
