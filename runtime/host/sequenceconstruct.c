#include "runtime/host/sequence_util.h"

gml_status gml_host_sequenceconstruct(gml_host_call *call)
{
    if (gml_rvalue_sequence(&call->outputs[0], call->n_inputs) != GML_OK)
        return gml_host_no_memory(call);
    for (size_t i = 0; i < call->n_inputs; i++) {
        if (gml_rvalue_copy(&call->outputs[0].items[i], &call->inputs[i]) != GML_OK)
            return gml_host_no_memory(call);
    }
    return GML_OK;
}
