#include "runtime/host/random_util.h"

gml_status gml_host_randomuniformlike(gml_host_call *call)
{
    return gml_host_fill_random(call, true, false);
}
