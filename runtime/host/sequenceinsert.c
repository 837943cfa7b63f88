#include "runtime/host/sequence_util.h"

/* Operands (sequence, tensor, position); without a position the tensor goes to the end. */
gml_status gml_host_sequenceinsert(gml_host_call *call)
{
    const gml_rvalue *sequence = NULL;
    int64_t position = 0;
    GML_TRY(gml_host_sequence(call, 0, &sequence));
    int64_t size = (int64_t)sequence->n_items;
    int64_t given = size;
    GML_TRY(gml_host_scalar_int(call, 2, size, &given));
    /* -1 inserts before the last item, `size` after it. */
    if (given == size)
        position = size;
    else
        GML_TRY(gml_host_position(call, 2, size, size, &position));
    if (gml_rvalue_sequence(&call->outputs[0], sequence->n_items + 1) != GML_OK)
        return gml_host_no_memory(call);
    for (int64_t i = 0; i <= size; i++) {
        const gml_rvalue *item = i == position  ? &call->inputs[1]
                                 : i < position ? &sequence->items[i]
                                                : &sequence->items[i - 1];
        if (gml_rvalue_copy(&call->outputs[0].items[i], item) != GML_OK)
            return gml_host_no_memory(call);
    }
    return GML_OK;
}
