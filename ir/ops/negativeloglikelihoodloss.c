/* ir/ops/negativeloglikelihoodloss.c - NegativeLogLikelihoodLoss.
 *
 *     loss[n,d] = -weight[t] * input[n,t,d]   with t = target[n,d], and 0 where t is
 * ignore_index
 *
 * The mean divides by the sum of the weights used, which is the number of targets that count
 * when there are no class weights.
 */
#include "ir/ops/build_util.h"
#include "ir/ops/loss_util.h"

/* The weight of every target, or NULL when all are 1. */
static gml_value *weigh(gml_build *b, const gml_node *node, gml_value *target,
                        gml_value *ignored)
{
    gml_dtype dtype = node->operands[0]->type.dtype;
    gml_value *weights = NULL;
    if (gml_has_operand(node, 2)) {
        gml_attr axis = gml_attr_int("axis", 0);
        gml_value *operands[] = {node->operands[2], target};
        weights = gml_build_op(b, &gml_op_gather, operands, 2, &axis, 1);
    }
    if (!ignored)
        return weights;
    gml_value *zero = gml_build_scalar(b, dtype, 0);
    return gml_build_where(b, ignored, zero, weights ? weights : gml_build_scalar(b, dtype, 1));
}

static gml_value *reduced(gml_build *b, const gml_node *node, gml_value *loss,
                          gml_value *weights)
{
    if (gml_node_string_is(node, "reduction", "none"))
        return loss;
    if (gml_node_string_is(node, "reduction", "mean") && !weights)
        return gml_build_reduce(b, &gml_op_reducemean, loss, NULL, 0, false);
    gml_value *sum = gml_build_reduce(b, &gml_op_reducesum, loss, NULL, 0, false);
    if (gml_node_string_is(node, "reduction", "sum"))
        return sum;
    gml_value *total = gml_build_reduce(b, &gml_op_reducesum, weights, NULL, 0, false);
    return gml_build_div(b, sum, total);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_value *input =
        gml_build_cast(&b, node->operands[0], gml_compute_dtype(node->operands[0]->type.dtype));
    gml_value *target = node->operands[1];
    gml_value *ignored = NULL;
    if (gml_node_find_attr(node, "ignore_index")) {
        gml_dtype dtype = target->type.dtype;
        double number = (double)gml_node_int(node, "ignore_index", 0);
        gml_value *index = gml_build_scalar(&b, dtype, number);
        ignored = gml_build_binary(&b, &gml_op_equal, target, index);
        /* the ignored index may be outside the classes */
        target = gml_build_where(&b, ignored, gml_build_scalar(&b, dtype, 0), target);
    }
    static const int64_t one[] = {1};
    gml_attr axis = gml_attr_int("axis", 1);
    gml_value *operands[] = {input, gml_build_unsqueeze(&b, target, one, 1)};
    gml_value *picked = gml_build_op(&b, &gml_op_gatherelements, operands, 2, &axis, 1);
    gml_value *loss = gml_build_unary(&b, &gml_op_neg, gml_build_squeeze(&b, picked, one, 1));
    gml_value *weights = weigh(&b, node, target, ignored);
    if (weights) {
        weights = gml_build_cast(&b, weights, loss->type.dtype);
        loss = gml_build_mul(&b, loss, weights);
    }
    if (ignored) /* a zero, whatever the input was */
        loss = gml_build_where(&b, ignored, gml_build_scalar(&b, loss->type.dtype, 0), loss);
    loss = reduced(&b, node, loss, weights);
    cx->results[0] = gml_build_cast(&b, loss, node->operands[0]->type.dtype);
    return b.status;
}

const gml_op_info gml_op_negativeloglikelihoodloss = {
    .name = "NegativeLogLikelihoodLoss",
    .doc = "The negated log probability of the target classes.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = gml_loss_attrs,
    .infer = gml_loss_infer,
    .expand = expand,
};
