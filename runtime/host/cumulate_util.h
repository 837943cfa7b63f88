/* runtime/host/cumulate_util.h - running sums and products along an axis. */
#ifndef GML_RUNTIME_HOST_CUMULATE_UTIL_H
#define GML_RUNTIME_HOST_CUMULATE_UTIL_H

#include "runtime/host/scatter_util.h"

/* Operands (x, axis), attributes exclusive and reverse; ADD or MUL. Every step rounds to the
 * element type, integers wrap around. */
gml_status gml_host_cumulate(gml_host_call *call, gml_combine combine);

#endif
