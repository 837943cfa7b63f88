/* base/quote.h - bytes between double quotes, as the textual IR writes names and strings.
 *
 * `\"`, `\\`, `\n`, `\t` and `\xHH` are the escapes; every other byte from 0x20 on stands for
 * itself except 0x7f, so UTF-8 stays readable. Any bytes read back exactly as they were.
 */
#ifndef GML_BASE_QUOTE_H
#define GML_BASE_QUOTE_H

#include "base/arena.h"
#include "base/str.h"

void gml_quote_print(const char *bytes, size_t len, gml_str *out);
/* Reads a quoted text at `*text`, which is NUL-terminated, and advances it. The bytes are in
 * `arena`, with a NUL after them. False when there is no well-formed quotation on this line. */
bool gml_quote_parse(gml_arena *arena, const char **text, gml_string *out);

/* A letter or `_`, then letters, digits, `_` and `.`: such a name needs no quotes. */
bool gml_is_plain_name(const char *name);
/* Bytes of the plain name that `text` starts with, or 0. */
size_t gml_plain_name_len(const char *text);

#endif
