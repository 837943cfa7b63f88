/* runtime/host/text_util.h - numbers as text, UTF-8, and growing lists of strings.
 *
 * A number is written with the fewest digits that read back as the same element: positional
 * from 1e-4 to below 1e16, with an exponent of at least two digits otherwise; "nan", "inf",
 * "-inf", "True", "False". Independent of the locale. */
#ifndef GML_RUNTIME_HOST_TEXT_UTIL_H
#define GML_RUNTIME_HOST_TEXT_UTIL_H

#include "runtime/host/host_util.h"

#define GML_NUMBER_TEXT 48

/* Writes element `i` of a tensor of numbers or bool. Returns the length. */
size_t gml_number_print(const gml_tensor *tensor, int64_t i, char text[GML_NUMBER_TEXT]);

typedef struct gml_number {
    bool is_int;
    int64_t i;      /* of an integer: exact, u64 by its bits */
    bool overflows; /* an integer that fits neither i64 nor u64 */
    bool is_negative;
    double f;
} gml_number;
/* A number around which white space may stand: decimal, with or without exponent, "inf",
 * "infinity", "nan" in any case. False when it is none. */
bool gml_number_parse(gml_string text, gml_number *out_number);

/* The length of the UTF-8 sequence at `text` and its code point; a byte that begins none is a
 * sequence of its own with code point -1. */
size_t gml_utf8_next(const char *text, size_t len, int32_t *out_code);
bool gml_is_space(int32_t code); /* as Unicode and Python say */

/* A growing list of strings in a scratch; `items` may move when it grows. */
typedef struct gml_strings {
    gml_string *items;
    size_t count, capacity;
} gml_strings;
/* False when there is no memory. The bytes are borrowed. */
bool gml_strings_push(gml_strings *strings, gml_scratch *scratch, gml_string string);

#endif
