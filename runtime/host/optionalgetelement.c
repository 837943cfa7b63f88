#include "runtime/host/host_util.h"

gml_status gml_host_optionalgetelement(gml_host_call *call)
{
    if (!gml_host_has(call, 0))
        return gml_host_fail(call, GML_E_INVALID, "the optional has no element");
    GML_TRY(gml_host_set_copy(call, 0, &call->inputs[0]));
    call->outputs[0].is_optional = false;
    return GML_OK;
}
