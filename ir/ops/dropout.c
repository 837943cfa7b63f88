/* ir/ops/dropout.c - Dropout: the identity, or when training x mask / (1 - ratio).
 *
 * The mask is true where a uniform number in [0, 1) is not below the ratio. Whether this is
 * training may be known only when the program runs: then both are computed and selected. */
#include "ir/elementwise.h"

static const gml_attr_spec attrs[] = {
    {"seed", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    GML_TRY(gml_infer_require(cx, 1, GML_IS_FLOAT));
    GML_TRY(gml_infer_require(cx, 2, GML_IS_BOOL));
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    for (unsigned k = 1; k < 3; k++) {
        const gml_type *scalar =
            gml_has_operand(cx->node, k) ? gml_operand_type(cx->node, k) : NULL;
        if (scalar && scalar->rank > 0)
            return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has rank %d, not 0", k,
                                  scalar->rank);
    }
    GML_TRY(gml_infer_same(cx));
    return gml_infer_set(cx, 1, GML_BOOL, type->rank, type->dims);
}

typedef enum dropout_mode { GML_INFERENCE, GML_TRAINING, GML_UNDECIDED } dropout_mode;

static dropout_mode find_mode(const gml_node *node)
{
    if (!gml_has_operand(node, 2))
        return GML_INFERENCE;
    const gml_tensor *known = node->operands[2]->constant;
    if (!known)
        return GML_UNDECIDED;
    return *(const bool *)known->data ? GML_TRAINING : GML_INFERENCE;
}

static gml_value *all_true(gml_build *b, const gml_type *type)
{
    gml_value *operands[] = {gml_build_scalar(b, GML_BOOL, 1.0),
                             gml_build_dims(b, type->dims, (size_t)type->rank)};
    return gml_build_op(b, &gml_op_expand, operands, 2, NULL, 0);
}

static gml_value *random_mask(gml_build *b, const gml_node *node, gml_value *ratio)
{
    gml_attr random[2] = {gml_attr_int("dtype", GML_F32)};
    size_t n_random = 1;
    if (gml_node_find_attr(node, "seed"))
        random[n_random++] = gml_attr_float("seed", (float)gml_node_int(node, "seed", 0));
    gml_value *uniform =
        gml_build_op(b, &gml_op_randomuniformlike, node->operands, 1, random, n_random);
    return gml_build_binary(b, &gml_op_greaterorequal, uniform, ratio);
}

static gml_value *select_value(gml_build *b, gml_value *condition, gml_value *then,
                               gml_value *otherwise)
{
    gml_value *operands[] = {condition, then, otherwise};
    return gml_build_op(b, &gml_op_where, operands, 3, NULL, 0);
}

static gml_status expand(gml_expand *cx)
{
    gml_build b = gml_build_expand(cx);
    const gml_node *node = cx->node;
    gml_value *data = node->operands[0];
    dropout_mode known = find_mode(node);
    cx->results[0] = data;
    if (known == GML_INFERENCE) {
        if (node->n_results > 1)
            cx->results[1] = all_true(&b, &data->type);
        return b.status;
    }
    gml_dtype dtype = data->type.dtype;
    gml_value *ratio = gml_has_operand(node, 1) ? gml_build_cast(&b, node->operands[1], GML_F32)
                                                : gml_build_scalar(&b, GML_F32, 0.5);
    gml_value *mask = random_mask(&b, node, ratio);
    gml_value *one = gml_build_scalar(&b, GML_F32, 1.0);
    gml_value *kept = gml_build_binary(&b, &gml_op_sub, one, ratio);
    gml_value *scale = gml_build_cast(&b, gml_build_binary(&b, &gml_op_div, one, kept), dtype);
    if (known == GML_UNDECIDED) {
        gml_value *training = node->operands[2];
        gml_value *inference = gml_build_unary(&b, &gml_op_not, training);
        mask = gml_build_binary(&b, &gml_op_or, inference, mask);
        scale = select_value(&b, training, scale, gml_build_scalar(&b, dtype, 1.0));
    }
    gml_value *scaled = gml_build_binary(&b, &gml_op_mul, data, scale);
    cx->results[0] = select_value(&b, mask, scaled, gml_build_scalar(&b, dtype, 0.0));
    if (node->n_results > 1)
        cx->results[1] = mask;
    return b.status;
}

const gml_op_info gml_op_dropout = {
    .name = "Dropout",
    .doc = "Drops random elements and scales the others, when training.",
    .min_in = 1,
    .max_in = 3,
    .min_out = 1,
    .max_out = 2,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
