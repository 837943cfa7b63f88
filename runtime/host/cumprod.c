#include "runtime/host/cumulate_util.h"

gml_status gml_host_cumprod(gml_host_call *call)
{
    return gml_host_cumulate(call, GML_COMBINE_MUL);
}
