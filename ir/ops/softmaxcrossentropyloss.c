/* ir/ops/softmaxcrossentropyloss.c - SoftmaxCrossEntropyLoss: the negative log likelihood of
 * LogSoftmax. */
#include "ir/ops/build_util.h"
#include "ir/ops/loss_util.h"

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_loss_infer(cx));
    const gml_type *scores = gml_operand_type(cx->node, 0);
    return gml_infer_set(cx, 1, scores->dtype, scores->rank, scores->dims);
}

static gml_status expand(gml_expand *cx)
{
    const gml_node *node = cx->node;
    gml_build b = gml_build_expand(cx);
    gml_value *scores = node->operands[0];
    gml_value *wide = gml_build_cast(&b, scores, gml_compute_dtype(scores->type.dtype));
    gml_attr axis = gml_attr_int("axis", 1);
    gml_value *log_prob = gml_build_op(&b, &gml_op_logsoftmax, &wide, 1, &axis, 1);
    gml_value *operands[] = {log_prob, node->operands[1], NULL};
    if (gml_has_operand(node, 2))
        operands[2] = gml_build_cast(&b, node->operands[2], wide->type.dtype);
    gml_value *loss = gml_build_op(&b, &gml_op_negativeloglikelihoodloss, operands,
                                   operands[2] ? 3 : 2, node->attrs, node->n_attrs);
    cx->results[0] = gml_build_cast(&b, loss, scores->type.dtype);
    if (node->n_results > 1)
        cx->results[1] = gml_build_cast(&b, log_prob, scores->type.dtype);
    return b.status;
}

const gml_op_info gml_op_softmaxcrossentropyloss = {
    .name = "SoftmaxCrossEntropyLoss",
    .doc = "The cross entropy of a softmax and target classes.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 2,
    .traits = GML_REDUCES,
    .attrs = gml_loss_attrs,
    .infer = infer,
    .expand = expand,
};
