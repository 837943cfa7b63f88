/* ir/ops/rotaryembedding.c - RotaryEmbedding: pairs of elements turned by an angle of their
 * position.
 *
 *     (x1, x2) -> (x1 cos - x2 sin, x1 sin + x2 cos)
 *
 * The pairs are the two halves of the first rotary_embedding_dim elements of a head, or with
 * `interleaved` its even and odd elements; the rest of the head stays. X is (B, H, S, D), or
 * (B, S, H * D) with num_heads. The caches are (B, S, n), or (positions, n) picked by
 * position_ids (B, S).
 */
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"

static const gml_attr_spec attrs[] = {
    {"interleaved", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"num_heads", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {"rotary_embedding_dim", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_dim head_size_of(gml_dim_pool *pool, const gml_node *node)
{
    const gml_type *type = gml_operand_type(node, 0);
    if (type->rank == 4)
        return type->dims[3];
    return gml_dim_div(pool, type->dims[2], gml_node_int(node, "num_heads", 1));
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    if (type->rank != 3 && type->rank != 4)
        return gml_infer_fail(cx, GML_E_SHAPE, "the input has rank %d, neither 3 nor 4",
                              type->rank);
    int64_t n_heads = 1;
    if (type->rank == 3)
        GML_TRY(gml_expect_count(cx, "num_heads", &n_heads));
    if (type->rank == 3 && gml_infer_leaves_rest(cx, type->dims[2], n_heads))
        return gml_infer_fail(cx, GML_E_SHAPE, "the input does not divide by %lld heads",
                              (long long)n_heads);
    gml_dim head = head_size_of(cx->dims, cx->node);
    int64_t turned = gml_node_int(cx->node, "rotary_embedding_dim", 0);
    if (!gml_dim_is_const(head))
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "the head size is not known");
    if (turned < 0 || turned > head || (turned ? turned : head) % 2 != 0)
        return gml_infer_fail(cx, GML_E_SHAPE, "%lld elements of a head of %lld make no pairs",
                              (long long)turned, (long long)head);
    bool picked = gml_has_operand(cx->node, 3);
    for (unsigned k = 1; k < 3; k++) {
        GML_TRY(gml_expect_dtype(cx, k, type->dtype));
        GML_TRY(gml_expect_rank(cx, k, picked ? 2 : 3));
        GML_TRY(gml_expect_dim(cx, k, picked ? 1 : 2, (turned ? turned : head) / 2));
    }
    GML_TRY(gml_expect_rank(cx, 3, 2));
    return gml_infer_same(cx);
}

/* The cosines or sines: (B, 1, S, n) beside (B, H, S, D), or (B, S, 1, n) beside (B, S, H, D).
 */
static gml_value *cache(gml_build *b, const gml_node *node, unsigned k, int64_t heads_axis)
{
    gml_value *x = node->operands[k];
    if (gml_has_operand(node, 3)) {
        gml_attr axis = gml_attr_int("axis", 0);
        gml_value *operands[] = {x, node->operands[3]};
        x = gml_build_op(b, &gml_op_gather, operands, 2, &axis, 1);
    }
    return gml_build_unsqueeze(b, x, &heads_axis, 1);
}

/* Turns the pairs of `x`, whose last axis has `size` elements. */
static gml_value *turned(gml_build *b, const gml_node *node, gml_value *x, int64_t size,
                         int64_t heads_axis)
{
    static const int64_t last[] = {4};
    bool interleaved = gml_node_int(node, "interleaved", 0) != 0;
    gml_dim dims[5] = {gml_value_dim(x, 0), gml_value_dim(x, 1), gml_value_dim(x, 2), size / 2,
                       2};
    gml_value *halves[2];
    gml_value *pairs = interleaved ? gml_build_reshape(b, x, dims, 5) : x;
    for (int i = 0; i < 2; i++) {
        if (interleaved)
            halves[i] = gml_build_squeeze(b, gml_build_slice(b, pairs, 4, i, i + 1), last, 1);
        else
            halves[i] = gml_build_slice(b, x, 3, i * (size / 2), (i + 1) * (size / 2));
    }
    gml_value *cosine = cache(b, node, 1, heads_axis);
    gml_value *sine = cache(b, node, 2, heads_axis);
    gml_value *out[2] = {gml_build_sub(b, gml_build_mul(b, cosine, halves[0]),
                                       gml_build_mul(b, sine, halves[1])),
                         gml_build_add(b, gml_build_mul(b, sine, halves[0]),
                                       gml_build_mul(b, cosine, halves[1]))};
    if (!interleaved)
        return gml_build_concat(b, out, 2, 3);
    for (int i = 0; i < 2; i++)
        out[i] = gml_build_unsqueeze(b, out[i], last, 1);
    dims[3] = size;
    return gml_build_reshape(b, gml_build_concat(b, out, 2, 4), dims, 4);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_value *x = node->operands[0];
    const gml_type given = x->type;
    gml_dim head = head_size_of(cx->dims, node);
    if (given.rank == 3) {
        gml_dim dims[] = {given.dims[0], given.dims[1], gml_node_int(node, "num_heads", 1),
                          head};
        x = gml_build_reshape(&b, x, dims, 4);
    }
    int64_t heads_axis = given.rank == 3 ? 2 : 1;
    int64_t size = gml_node_int(node, "rotary_embedding_dim", 0);
    if (size == 0 || size == head) {
        x = turned(&b, node, x, head, heads_axis);
    } else {
        gml_value *parts[2] = {gml_build_slice(&b, x, 3, 0, size),
                               gml_build_slice(&b, x, 3, size, head)};
        parts[0] = turned(&b, node, parts[0], size, heads_axis);
        x = gml_build_concat(&b, parts, 2, 3);
    }
    cx->results[0] = given.rank == 3 ? gml_build_reshape(&b, x, given.dims, 3) : x;
    return b.status;
}

const gml_op_info gml_op_rotaryembedding = {
    .name = "RotaryEmbedding",
    .doc = "Pairs of elements turned by an angle of their position.",
    .min_in = 3,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
