#include "runtime/host/host_util.h"

gml_status gml_host_optionalhaselement(gml_host_call *call)
{
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, GML_BOOL, 0, NULL, &y));
    gml_host_put_int(y, 0, gml_host_has(call, 0));
    return GML_OK;
}
