/* runtime/host/broadcast_util.h - two operands of shapes that broadcast. */
#ifndef GML_RUNTIME_HOST_BROADCAST_UTIL_H
#define GML_RUNTIME_HOST_BROADCAST_UTIL_H

#include "runtime/host/host_util.h"

/* The shape (rank and dims) of `a` and `b` broadcast together. */
gml_status gml_host_broadcast(gml_host_call *call, const gml_tensor *a, const gml_tensor *b,
                              gml_tensor *out_shape);
/* The element of `operand` that broadcasting puts at element `flat` of `shape`. */
int64_t gml_broadcast_index(const gml_tensor *shape, int64_t flat, const gml_tensor *operand);

#endif
