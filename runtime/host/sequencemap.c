/* runtime/host/sequencemap.c - runs the body once per item; operands that are sequences give
 * one item each, tensors are passed whole. Every result of the body becomes a sequence. */
#include "runtime/host/region_util.h"

static gml_status check_operands(gml_host_call *call, size_t count)
{
    for (size_t k = 0; k < call->n_inputs; k++) {
        const gml_rvalue *operand = &call->inputs[k];
        if (operand->kind == GML_RVALUE_SEQUENCE && operand->n_items != count)
            return gml_host_fail(call, GML_E_SHAPE, "sequence %zu has %zu items, the first %zu",
                                 k, operand->n_items, count);
    }
    return GML_OK;
}

static gml_status map_items(gml_host_call *call, gml_region *body, size_t count)
{
    for (size_t r = 0; r < call->n_outputs; r++) {
        if (gml_rvalue_sequence(&call->outputs[r], count) != GML_OK)
            return gml_host_no_memory(call);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < call->n_inputs; k++) {
            const gml_rvalue *operand = &call->inputs[k];
            bool is_sequence = operand->kind == GML_RVALUE_SEQUENCE;
            GML_TRY(gml_region_set(body, k, is_sequence ? &operand->items[i] : operand));
        }
        GML_TRY(gml_region_run(body));
        for (size_t r = 0; r < call->n_outputs; r++)
            gml_rvalue_take(&call->outputs[r].items[i], &body->results[r]);
    }
    return GML_OK;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_rvalue *sequence = NULL;
    GML_TRY(gml_host_sequence(call, 0, &sequence));
    GML_TRY(check_operands(call, sequence->n_items));
    gml_region body;
    gml_status status = gml_region_init(&body, call, "body", scratch);
    if (status == GML_OK)
        status = gml_region_expect(&body, call->n_inputs, call->n_outputs);
    if (status == GML_OK)
        status = map_items(call, &body, sequence->n_items);
    gml_region_reset(&body);
    return status;
}

gml_status gml_host_sequencemap(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
