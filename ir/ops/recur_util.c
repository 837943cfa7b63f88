/* ir/ops/recur_util.c - recurrences, unrolled or as a Scan. */
#include "ir/ops/recur_util.h"

#include "ir/ops/build_util.h"

static const int64_t leading[] = {0};

static gml_value *unrolled(gml_build *b, gml_recur *recur, int64_t length)
{
    gml_value *outputs[GML_RECUR_UNROLL];
    for (int64_t i = 0; i < length; i++) {
        int64_t t = recur->reverse ? length - 1 - i : i;
        gml_value *elements[GML_RECUR_MAX];
        for (unsigned k = 0; k < recur->n_sequences; k++) {
            gml_value *slice = gml_build_slice(b, recur->sequences[k], 0, t, t + 1);
            elements[k] = gml_build_squeeze(b, slice, leading, 1);
        }
        gml_value *output = recur->step(b, recur->context, recur->states, elements);
        outputs[t] = gml_build_unsqueeze(b, output, leading, 1);
    }
    return gml_build_concat(b, outputs, (uint32_t)length, 0);
}

/* An element of a sequence: its type without the leading axis. */
static gml_type element_type(gml_arena *arena, const gml_type *sequence)
{
    return gml_type_tensor(arena, sequence->dtype, sequence->rank - 1, sequence->dims + 1);
}

static void build_body(gml_build *b, const gml_recur *recur, gml_graph *body)
{
    gml_arena *arena = &b->graph->module->arena;
    gml_build inner = {body, NULL, b->loc, b->diags, b->status};
    gml_value *states[GML_RECUR_MAX];
    gml_value *elements[GML_RECUR_MAX];
    for (unsigned k = 0; k < recur->n_states; k++)
        states[k] = gml_graph_add_param(body, NULL, recur->states[k]->type);
    for (unsigned k = 0; k < recur->n_sequences; k++)
        elements[k] =
            gml_graph_add_param(body, NULL, element_type(arena, &recur->sequences[k]->type));
    gml_value *output = recur->step(&inner, recur->context, states, elements);
    for (unsigned k = 0; k < recur->n_states; k++)
        gml_graph_add_result(body, states[k], NULL);
    gml_graph_add_result(body, output, NULL);
    b->status = inner.status;
}

static gml_value *scanned(gml_build *b, gml_recur *recur)
{
    gml_value *operands[2 * GML_RECUR_MAX];
    int64_t *directions = gml_new_array(&b->graph->module->arena, int64_t, GML_RECUR_MAX);
    for (unsigned k = 0; k < recur->n_states; k++)
        operands[k] = recur->states[k];
    for (unsigned k = 0; k < recur->n_sequences; k++) {
        operands[recur->n_states + k] = recur->sequences[k];
        directions[k] = recur->reverse;
    }
    gml_node *node =
        gml_node_create(b->graph, b->before, &gml_op_scan, operands,
                        recur->n_states + recur->n_sequences, recur->n_states + 1, b->loc);
    gml_graph *body = gml_graph_create(b->graph->module, "step", node);
    build_body(b, recur, body);
    gml_node_set_region(node, "body", body);
    gml_node_set_int(node, "num_scan_inputs", recur->n_sequences);
    gml_node_set_ints(node, "scan_input_directions", directions, recur->n_sequences);
    gml_node_set_ints(node, "scan_output_directions", directions, 1);
    if (b->status == GML_OK)
        b->status = gml_node_infer(node, b->diags);
    for (unsigned k = 0; k < recur->n_states; k++)
        recur->states[k] = &node->results[k];
    return &node->results[recur->n_states];
}

gml_value *gml_build_recur(gml_build *b, gml_recur *recur)
{
    if (b->status != GML_OK)
        return recur->states[0];
    gml_dim length = gml_value_dim(recur->sequences[0], 0);
    if (gml_dim_is_const(length) && length > 0 && length <= GML_RECUR_UNROLL)
        return unrolled(b, recur, length);
    return scanned(b, recur);
}
