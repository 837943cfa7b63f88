#include "runtime/host/sequence_util.h"

/* Operands (sequence, position); without a position the last item goes. */
gml_status gml_host_sequenceerase(gml_host_call *call)
{
    const gml_rvalue *sequence = NULL;
    int64_t position = 0;
    GML_TRY(gml_host_sequence(call, 0, &sequence));
    int64_t size = (int64_t)sequence->n_items;
    GML_TRY(gml_host_position(call, 1, -1, size, &position));
    if (gml_rvalue_sequence(&call->outputs[0], sequence->n_items - 1) != GML_OK)
        return gml_host_no_memory(call);
    for (int64_t i = 0; i + 1 < size; i++) {
        if (gml_rvalue_copy(&call->outputs[0].items[i],
                            &sequence->items[i < position ? i : i + 1]) != GML_OK)
            return gml_host_no_memory(call);
    }
    return GML_OK;
}
