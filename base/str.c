#include "base/str.h"

#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an empty buffer points to; never written, because its capacity is 0. */
static char nothing[1];

void gml_str_init(gml_str *str)
{
    *str = (gml_str){.text = nothing};
}

void gml_str_reset(gml_str *str)
{
    if (str->capacity != 0)
        free(str->text);
    gml_str_init(str);
}

/* Makes room for `len` more bytes and the NUL. */
static void reserve(gml_str *str, size_t len)
{
    if (len >= SIZE_MAX / 4 - str->len)
        gml_out_of_memory(len);
    size_t needed = str->len + len + 1;
    if (needed <= str->capacity)
        return;
    size_t capacity = str->capacity == 0 ? 64 : str->capacity;
    while (capacity < needed)
        capacity *= 2;
    char *text = realloc(str->capacity == 0 ? NULL : str->text, capacity);
    if (text == NULL)
        gml_out_of_memory(capacity);
    str->text = text;
    str->capacity = capacity;
}

void gml_str_append(gml_str *str, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    reserve(str, len);
    memcpy(str->text + str->len, bytes, len);
    str->len += len;
    str->text[str->len] = '\0';
}

void gml_str_puts(gml_str *str, const char *text)
{
    gml_str_append(str, text, strlen(text));
}

void gml_str_putc(gml_str *str, char byte)
{
    gml_str_append(str, &byte, 1);
}

void gml_str_printf(gml_str *str, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    gml_str_vprintf(str, format, args);
    va_end(args);
}

void gml_str_vprintf(gml_str *str, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len > 0) {
        reserve(str, (size_t)len);
        vsnprintf(str->text + str->len, (size_t)len + 1, format, args);
        str->len += (size_t)len;
    }
}
