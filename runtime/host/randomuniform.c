#include "runtime/host/random_util.h"

gml_status gml_host_randomuniform(gml_host_call *call)
{
    return gml_host_fill_random(call, false, false);
}
