/* base/tensor_map.h - memory as the bulk copies of a GPU see it: an array of up to five
 * dimensions, of which a copy brings one box to shared memory.
 *
 * The code generator says how it is; sizes may be symbolic until the launch. What lies outside
 * of the extents arrives as zeros. In shared memory a box is dense, its first dimension
 * innermost; with `is_swizzled` that has 128 bytes, and in every 1024 bytes the 16-byte pieces
 * of line i, counted from 0, trade places with those whose number differs in the bits of i. */
#ifndef GML_BASE_TENSOR_MAP_H
#define GML_BASE_TENSOR_MAP_H

#include "base/dim.h"
#include "gemel/types.h"

#define GML_MAP_RANK  5
#define GML_MAP_BYTES 128 /* of an encoded map */

typedef struct gml_map_layout {
    uint32_t mem;    /* its number: inputs, outputs, then temporaries */
    gml_dtype dtype; /* BF16 */
    uint32_t rank;   /* 1 to 5; the innermost dimension first */
    gml_dim offset;  /* of the first element, in bytes; a multiple of 16 */
    gml_dim extents[GML_MAP_RANK];
    gml_dim strides[GML_MAP_RANK]; /* in bytes, multiples of 16; of the first: an element's */
    uint32_t box[GML_MAP_RANK];    /* up to 256 each */
    bool is_swizzled;
} gml_map_layout;

#endif
