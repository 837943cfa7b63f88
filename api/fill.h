/* api/fill.h - the elements of weights before training: constants and random numbers.
 *
 * Element i is a function of the fill, the key and i only, in arithmetic that rounds the same
 * everywhere (no libm), so weights are the same on every machine and may be made in any order.
 * Thread-safe.
 */
#ifndef GML_API_FILL_H
#define GML_API_FILL_H

#include "gemel/build.h"

/* True for types that gml_fill_elements writes: floats of 16 to 64 bits. */
bool gml_fill_allows(gml_dtype dtype);
/* Writes elements `first` to `first` + `count` - 1 of a tensor; `data` is where element `first`
 * goes. */
void gml_fill_elements(const gml_fill *fill, uint64_t key, gml_dtype dtype, uint64_t first,
                       size_t count, void *data);

#endif
