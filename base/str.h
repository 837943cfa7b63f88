/* base/str.h - a growing text buffer, for printers and generators.
 *
 * The buffer is malloc'ed and owned by the gml_str: init, append, then reset. `text` is always
 * NUL-terminated and never NULL; `len` counts without the NUL. Out of memory aborts, as in
 * arenas.
 */
#ifndef GML_BASE_STR_H
#define GML_BASE_STR_H

#include "gemel/types.h"

#include <stdarg.h>
#include <stddef.h>

typedef struct gml_str {
    char *text;
    size_t len;
    size_t capacity; /* 0 while `text` is the static empty string */
} gml_str;

void gml_str_init(gml_str *str);
void gml_str_reset(gml_str *str);
void gml_str_append(gml_str *str, const void *bytes, size_t len);
void gml_str_puts(gml_str *str, const char *text);
void gml_str_putc(gml_str *str, char byte);
void gml_str_printf(gml_str *str, const char *format, ...) GML_PRINTF(2, 3);
void gml_str_vprintf(gml_str *str, const char *format, va_list args);

#endif
