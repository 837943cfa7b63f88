/* runtime/host/order_util.h - sorting: any element type as an unsigned key, and a stable sort.
 *
 * Keys keep the order of the elements: -0 and 0 are one key, NaN is above infinity and one key.
 */
#ifndef GML_RUNTIME_HOST_ORDER_UTIL_H
#define GML_RUNTIME_HOST_ORDER_UTIL_H

#include "runtime/host/host_util.h"

/* Element `i` of a tensor of numbers or bool. */
uint64_t gml_order_key(const gml_tensor *tensor, int64_t i);

/* Negative, 0 or positive: the order of items number `a` and `b`. */
typedef int (*gml_order)(const void *context, int64_t a, int64_t b);

/* Sorts `items`, keeping the order of equal ones; `spare` has room for `count` items too. */
void gml_sort(int64_t *items, int64_t *spare, int64_t count, gml_order order,
              const void *context);

#endif
