#include "runtime/host/sequence_util.h"

gml_status gml_host_sequenceempty(gml_host_call *call)
{
    return gml_rvalue_sequence(&call->outputs[0], 0);
}
