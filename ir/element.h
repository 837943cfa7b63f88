/* ir/element.h - one element of a tensor as text, exact to the bit.
 *
 * Floats take the fewest digits that read back the same; `inf`, `-inf`, `nan`; a NaN of other
 * bits is `nan(0x…)`, its bits in the element's width. Complex numbers are `(re, im)`, strings
 * quoted, booleans `true` and `false`. The C locale's decimal point is assumed (see
 * gml_numeric_locale).
 */
#ifndef GML_IR_ELEMENT_H
#define GML_IR_ELEMENT_H

#include "base/arena.h"
#include "base/str.h"

/* `element` may have any alignment. */
void gml_element_print(gml_dtype dtype, const void *element, gml_str *out);
/* A float that cannot be taken for an integer: 1.0, not 1. */
void gml_float_print(float value, gml_str *out);

/* Reads one element at `*text`, which is NUL-terminated, advances it, and stores
 * gml_dtype_size(dtype) bytes. NULL when it went well, else what is wrong. */
const char *gml_element_parse(gml_arena *arena, gml_dtype dtype, const char **text,
                              void *out_element);

/* Numbers are printed and read with a decimal point whatever the program's locale says: call
 * `enter` before and hand its result to `leave` after. For the calling thread only. */
void *gml_numeric_locale_enter(void);
void gml_numeric_locale_leave(void *before);

#endif
