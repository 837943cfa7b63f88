/* base/attr.h - attributes of operators: named constants of a few kinds.
 *
 * The compiler's nodes and the runtime's host calls use the same struct, so that an artifact's
 * host operators see what the graph said. Everything is borrowed: arena, static or artifact
 * memory.
 */
#ifndef GML_BASE_ATTR_H
#define GML_BASE_ATTR_H

#include "gemel/types.h"

typedef enum gml_attr_kind {
    GML_ATTR_NONE,
    GML_ATTR_INT,
    GML_ATTR_FLOAT,
    GML_ATTR_STRING,
    GML_ATTR_TENSOR,
    GML_ATTR_TYPE,
    GML_ATTR_GRAPH,
    GML_ATTR_INTS,
    GML_ATTR_FLOATS,
    GML_ATTR_STRINGS,
    GML_ATTR_TENSORS,
} gml_attr_kind;

typedef struct gml_attr {
    const char *name; /* as in the operator's attribute table */
    gml_attr_kind kind;
    size_t count; /* of ints, floats, strings, tensors */
    union {
        int64_t i;
        float f;
        gml_string s;
        const gml_tensor *t;
        const struct gml_type *type;
        struct gml_graph *graph; /* a region; the runtime sees its number in `count` */
        const int64_t *ints;
        const float *floats;
        const gml_string *strings;
        const gml_tensor *const *tensors;
    } as;
} gml_attr;

#endif
