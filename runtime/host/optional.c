#include "runtime/host/host_util.h"

/* Without an operand: an optional without element, whose type is the attribute `type`. */
gml_status gml_host_optional(gml_host_call *call)
{
    if (gml_host_has(call, 0))
        GML_TRY(gml_host_set_copy(call, 0, &call->inputs[0]));
    call->outputs[0].is_optional = true;
    return GML_OK;
}
