/* api/execute.c - one run of a module on a device. */
#include "api/execute.h"

#include <string.h>

#include "api/eager.h"

bool gml_device_find(const char *name, gml_device_kind *out_device)
{
    if (strcmp(name, "cpu") == 0)
        *out_device = GML_DEVICE_CPU;
    else if (strcmp(name, "ref") == 0)
        *out_device = GML_DEVICE_REF;
    else
        return false;
    return true;
}

/* Gives a result memory of its own where it views the module's or an instance's. */
static gml_status own(gml_rvalue *value)
{
    gml_tensor view = value->tensor;
    size_t bytes = 0;
    if (value->kind != GML_RVALUE_TENSOR || value->buffer || view.dtype == GML_STRING ||
        !gml_tensor_bytes(&view, &bytes))
        return GML_OK;
    GML_TRY(gml_rvalue_alloc(value, view.dtype, view.rank, view.dims));
    if (bytes)
        memcpy(value->tensor.data, view.data, bytes);
    return GML_OK;
}

gml_status gml_execute(gml_module *module, const gml_rvalue *inputs, gml_rvalue *outputs,
                       const gml_execute_options *options, gml_diags *diags)
{
    gml_graph *graph = module->main;
    (void)options;
    GML_TRY(gml_eager_run(graph, inputs, outputs, NULL, diags));
    gml_status status = GML_OK;
    for (uint32_t r = 0; r < graph->n_results && status == GML_OK; r++)
        status = own(&outputs[r]);
    return status;
}
