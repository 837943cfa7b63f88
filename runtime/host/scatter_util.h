/* runtime/host/scatter_util.h - what the scatter operators do with an element that is hit. */
#ifndef GML_RUNTIME_HOST_SCATTER_UTIL_H
#define GML_RUNTIME_HOST_SCATTER_UTIL_H

#include "runtime/host/host_util.h"

typedef enum gml_combine {
    GML_COMBINE_REPLACE,
    GML_COMBINE_ADD,
    GML_COMBINE_MUL,
    GML_COMBINE_MIN, /* NaN when either is */
    GML_COMBINE_MAX,
} gml_combine;

/* The attribute `reduction`: "none" (also when absent), "add", "mul", "min", "max". Strings and
 * complex numbers have "none" only. */
gml_status gml_combine_of(gml_host_call *call, gml_dtype dtype, gml_combine *out_combine);
/* to[i] = combine(to[i], from[j]); the element types are the same. */
void gml_combine_element(gml_combine combine, const gml_tensor *to, int64_t i,
                         const gml_tensor *from, int64_t j);

#endif
