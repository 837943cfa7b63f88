/* ir/ops/linearattention.c - LinearAttention: attention by a state that is updated every step.
 *
 * With the state S (d_k, d_v) of a key head, keys k and values v of a step, and the update
 * rule: gated, gated_delta   S <- exp(decay) S delta, gated_delta   v <- beta (v - k S) all S
 * <- S + k' v;   output = scale * q S Query heads share key heads as in Attention. Everything
 * is computed in f32.
 */
#include "ir/ops/attention_util.h"
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/recur_util.h"

enum { GML_QUERY, GML_KEY, GML_VALUE, GML_STATE, GML_DECAY, GML_BETA };

static const gml_attr_spec attrs[] = {
    {"chunk_size", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 64},
    {"kv_num_heads", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"q_num_heads", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"scale", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0},
    {"update_rule", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "gated_delta"},
    {NULL},
};

static bool is_gated(const gml_node *node)
{
    return gml_node_string_is(node, "update_rule", "gated") ||
           gml_node_string_is(node, "update_rule", "gated_delta");
}

static bool is_delta(const gml_node *node)
{
    return gml_node_string_is(node, "update_rule", "delta") ||
           gml_node_string_is(node, "update_rule", "gated_delta");
}

static gml_status check_rule(gml_infer *cx)
{
    const gml_node *node = cx->node;
    if (!is_gated(node) && !is_delta(node) &&
        !gml_node_string_is(node, "update_rule", "linear"))
        return gml_infer_fail(cx, GML_E_INVALID,
                              "update_rule is none of linear, gated, delta, gated_delta");
    if (gml_has_operand(node, GML_DECAY) != is_gated(node))
        return gml_infer_fail(cx, GML_E_INVALID,
                              "decay goes with the gated rules, and only them");
    if (gml_has_operand(node, GML_BETA) != is_delta(node))
        return gml_infer_fail(cx, GML_E_INVALID,
                              "beta goes with the delta rules, and only them");
    return GML_OK;
}

/* Constant sizes of the packed operands; the heads divide them. */
static gml_status head_sizes(gml_infer *cx, int64_t *out_key, int64_t *out_value)
{
    int64_t q_heads = 1;
    int64_t kv_heads = 1;
    GML_TRY(gml_expect_count(cx, "q_num_heads", &q_heads));
    GML_TRY(gml_expect_count(cx, "kv_num_heads", &kv_heads));
    if (q_heads % kv_heads != 0)
        return gml_infer_fail(cx, GML_E_RANGE, "%lld query heads do not share %lld key heads",
                              (long long)q_heads, (long long)kv_heads);
    gml_dim key = gml_operand_type(cx->node, GML_KEY)->dims[2];
    gml_dim value = gml_operand_type(cx->node, GML_VALUE)->dims[2];
    if (!gml_dim_is_const(key) || !gml_dim_is_const(value))
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "the head sizes are not known");
    if (key % kv_heads != 0 || value % kv_heads != 0 || key < 1)
        return gml_infer_fail(cx, GML_E_SHAPE, "keys or values do not divide by %lld heads",
                              (long long)kv_heads);
    *out_key = key / kv_heads;
    *out_value = value / kv_heads;
    return gml_expect_dim(cx, GML_QUERY, 2, gml_dim_mul(cx->dims, *out_key, q_heads));
}

static gml_status check_gates(gml_infer *cx, int64_t kv_heads, int64_t key_size)
{
    const gml_type *decay = gml_operand_type(cx->node, GML_DECAY);
    const gml_type *beta = gml_operand_type(cx->node, GML_BETA);
    if (decay && decay->dims[2] != kv_heads && decay->dims[2] != kv_heads * key_size)
        return gml_infer_fail(cx, GML_E_SHAPE,
                              "decay has neither a value a head nor one a key");
    if (beta && beta->dims[2] != kv_heads && beta->dims[2] != 1)
        return gml_infer_fail(cx, GML_E_SHAPE, "beta has neither a value a head nor one");
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *query;
    GML_TRY(gml_infer_tensor(cx, GML_QUERY, &query));
    GML_TRY(gml_expect_rank(cx, GML_QUERY, 3));
    GML_TRY(check_rule(cx));
    for (unsigned k = 0; k <= GML_BETA; k++) {
        GML_TRY(gml_infer_require(cx, k, GML_IS_FLOAT));
        const gml_type *type;
        if (k == GML_STATE || !gml_has_operand(cx->node, k))
            continue;
        GML_TRY(gml_infer_tensor(cx, k, &type));
        GML_TRY(gml_expect_rank(cx, k, 3));
        GML_TRY(gml_expect_dim(cx, k, 0, query->dims[0]));
        GML_TRY(gml_expect_dim(cx, k, 1, query->dims[1]));
    }
    int64_t key_size = 0;
    int64_t value_size = 0;
    GML_TRY(head_sizes(cx, &key_size, &value_size));
    int64_t kv_heads = gml_node_int(cx->node, "kv_num_heads", 1);
    GML_TRY(check_gates(cx, kv_heads, key_size));
    gml_dim state[4] = {query->dims[0], kv_heads, key_size, value_size};
    GML_TRY(gml_expect_rank(cx, GML_STATE, 4));
    for (int d = 0; d < 4; d++)
        GML_TRY(gml_expect_dim(cx, GML_STATE, d, state[d]));
    const gml_type *past = gml_operand_type(cx->node, GML_STATE);
    GML_TRY(gml_infer_set(cx, 1, past ? past->dtype : query->dtype, 4, state));
    gml_dim dims[3] = {
        query->dims[0], query->dims[1],
        gml_dim_mul(cx->dims, value_size, gml_node_int(cx->node, "q_num_heads", 1))};
    return gml_infer_set(cx, 0, query->dtype, 3, dims);
}

/* (B, T, H * n * D) as a sequence over T of (B, H, n, D), in f32. */
static gml_value *sequence(gml_build *b, gml_value *x, gml_dim n_heads, gml_dim n, gml_dim size)
{
    static const int64_t time_first[] = {1, 0, 2, 3, 4};
    gml_dim dims[] = {gml_value_dim(x, 0), gml_value_dim(x, 1), n_heads, n, size};
    x = gml_build_reshape(b, gml_build_cast(b, x, GML_F32), dims, 5);
    return gml_build_transpose(b, x, time_first, 5);
}

/* Elements: query (B, Hkv, G, dk), key (B, Hkv, 1, dk), value (B, Hkv, 1, dv), then decay
 * (B, Hkv, dk or 1, 1) and beta (B, Hkv or 1, 1, 1) as the rule has them. */
static gml_value *step(gml_build *b, const void *context, gml_value **states,
                       gml_value *const *elements)
{
    static const int64_t swap[] = {0, 1, 3, 2};
    const gml_node *node = context;
    gml_value *state = states[0];
    gml_value *key = elements[GML_KEY];
    gml_value *value = elements[GML_VALUE];
    unsigned next = 3;
    if (is_gated(node)) {
        gml_value *gate = gml_build_unary(b, &gml_op_exp, elements[next++]);
        state = gml_build_mul(b, state, gate);
    }
    if (is_delta(node)) {
        value = gml_build_sub(b, value, gml_build_matmul(b, key, state));
        value = gml_build_mul(b, value, elements[next]);
    }
    gml_value *column = gml_build_transpose(b, key, swap, 4);
    states[0] = gml_build_add(b, state, gml_build_mul(b, column, value));
    return gml_build_matmul(b, elements[GML_QUERY], states[0]);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_value *query = node->operands[GML_QUERY];
    gml_dim kv_heads = gml_node_int(node, "kv_num_heads", 1);
    gml_dim group = gml_node_int(node, "q_num_heads", 1) / kv_heads;
    gml_dim key_size = gml_value_dim(node->operands[GML_KEY], 2) / kv_heads;
    gml_dim value_size = gml_value_dim(node->operands[GML_VALUE], 2) / kv_heads;
    double scale;
    GML_TRY(gml_attention_scale(cx, key_size, 0, &scale));

    gml_recur recur = {.n_sequences = 3, .n_states = 1, .step = step, .context = node};
    recur.sequences[0] =
        gml_build_mul_scalar(&b, sequence(&b, query, kv_heads, group, key_size), scale);
    recur.sequences[1] = sequence(&b, node->operands[GML_KEY], kv_heads, 1, key_size);
    recur.sequences[2] = sequence(&b, node->operands[GML_VALUE], kv_heads, 1, value_size);
    if (is_gated(node)) {
        gml_value *decay = node->operands[GML_DECAY];
        gml_dim n = gml_value_dim(decay, 2) / kv_heads;
        recur.sequences[recur.n_sequences++] = sequence(&b, decay, kv_heads, n, 1);
    }
    if (is_delta(node)) {
        gml_value *beta = node->operands[GML_BETA];
        recur.sequences[recur.n_sequences++] = sequence(&b, beta, gml_value_dim(beta, 2), 1, 1);
    }
    gml_dim state[4] = {gml_value_dim(query, 0), kv_heads, key_size, value_size};
    recur.states[0] = gml_has_operand(node, GML_STATE)
                          ? gml_build_cast(&b, node->operands[GML_STATE], GML_F32)
                          : gml_build_zeros(&b, GML_F32, state, 4);
    /* (T, B, Hkv, G, dv) to (B, T, Hq * dv) */
    static const int64_t batch_first[] = {1, 0, 2, 3, 4};
    gml_value *y = gml_build_transpose(&b, gml_build_recur(&b, &recur), batch_first, 5);
    gml_dim dims[3] = {state[0], gml_value_dim(query, 1), kv_heads * group * value_size};
    y = gml_build_reshape(&b, y, dims, 3);
    cx->results[0] = gml_build_cast(&b, y, query->type.dtype);
    if (node->n_results > 1) {
        gml_dtype dtype = gml_has_operand(node, GML_STATE)
                              ? node->operands[GML_STATE]->type.dtype
                              : query->type.dtype;
        cx->results[1] = gml_build_cast(&b, recur.states[0], dtype);
    }
    return b.status;
}

const gml_op_info gml_op_linearattention = {
    .name = "LinearAttention",
    .doc = "Attention by a recurrent state, with optional decay and delta rule.",
    .min_in = 3,
    .max_in = 6,
    .min_out = 1,
    .max_out = 2,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
