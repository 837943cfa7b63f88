/* runtime/host/map_util.h - operands that are maps: a vector of keys and one of values. */
#ifndef GML_RUNTIME_HOST_MAP_UTIL_H
#define GML_RUNTIME_HOST_MAP_UTIL_H

#include "runtime/host/ml_util.h"

/* The keys and values of operand 0, which must be a map with as many keys as values. */
gml_status gml_host_map(gml_host_call *call, const gml_tensor **out_keys,
                        const gml_tensor **out_values);

#endif
