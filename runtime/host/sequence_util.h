/* runtime/host/sequence_util.h - sequences: positions in them, and joining their tensors. */
#ifndef GML_RUNTIME_HOST_SEQUENCE_UTIL_H
#define GML_RUNTIME_HOST_SEQUENCE_UTIL_H

#include "runtime/host/host_util.h"

/* Operand `k`, which must be a sequence. */
gml_status gml_host_sequence(gml_host_call *call, unsigned k, const gml_rvalue **out_sequence);
/* Operand `k` (a scalar; `fallback` when absent) as a position of 0 to `size` - 1, counted from
 * the end when negative. */
gml_status gml_host_position(gml_host_call *call, unsigned k, int64_t fallback, int64_t size,
                             int64_t *out_position);

typedef struct gml_join {
    int64_t axis;   /* of the result; may be negative */
    bool new_axis;  /* items are stacked along a new axis instead of concatenated */
    bool backwards; /* the last item comes first */
} gml_join;

/* Result `i` becomes the `count` tensors of `items` (at least one) joined. */
gml_status gml_host_join(gml_host_call *call, unsigned i, const gml_rvalue *items, size_t count,
                         const gml_join *join);

/* Which part of a tensor along an axis; the axis disappears when `squeeze` (length 1). */
typedef struct gml_part {
    int axis;
    bool squeeze;
    int64_t start, length;
} gml_part;
gml_status gml_host_slice(gml_host_call *call, const gml_tensor *from, const gml_part *part,
                          gml_rvalue *out_part);

/* Makes room for item number `count` in a sequence used as a growing array. */
gml_status gml_host_grow(gml_host_call *call, gml_rvalue *sequence, size_t count);

#endif
