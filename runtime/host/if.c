#include "runtime/host/region_util.h"

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *condition = NULL;
    GML_TRY(gml_host_require(call, 0, &condition));
    if (gml_tensor_numel(condition) != 1)
        return gml_host_fail(call, GML_E_SHAPE, "the condition does not have one element");
    bool holds = gml_host_get_int(condition, 0) != 0;
    gml_region branch;
    gml_status status =
        gml_region_init(&branch, call, holds ? "then_branch" : "else_branch", scratch);
    if (status == GML_OK)
        status = gml_region_run(&branch);
    for (size_t i = 0; status == GML_OK && i < branch.n_results && i < call->n_outputs; i++)
        gml_rvalue_take(&call->outputs[i], &branch.results[i]);
    gml_region_reset(&branch);
    return status;
}

gml_status gml_host_if(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
