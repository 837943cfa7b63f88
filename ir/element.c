#define _POSIX_C_SOURCE 200809L

#include "ir/element.h"

#include "base/half.h"
#include "base/quote.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GML_NUMBER_SIZE 40 /* bytes of any number as text */

void *gml_numeric_locale_enter(void)
{
    locale_t numeric = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    return numeric == (locale_t)0 ? NULL : (void *)uselocale(numeric);
}

void gml_numeric_locale_leave(void *before)
{
    if (before == NULL)
        return;
    freelocale(uselocale((locale_t)before));
}

/* ---- Printing --------------------------------------------------------------------------- */

/* The fewest significant digits that read back as `value`. */
static void print_double(double value, gml_str *out)
{
    char number[GML_NUMBER_SIZE];
    if (isinf(value)) {
        gml_str_puts(out, value < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(number, sizeof(number), "%.*g", digits, value);
        if (strtod(number, NULL) == value)
            break;
    }
    gml_str_puts(out, number);
}

static void print_single(float value, gml_str *out)
{
    char number[GML_NUMBER_SIZE];
    if (isinf(value)) {
        gml_str_puts(out, value < 0 ? "-inf" : "inf");
        return;
    }
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(number, sizeof(number), "%.*g", digits, (double)value);
        if (strtof(number, NULL) == value)
            break;
    }
    gml_str_puts(out, number);
}

static void print_nan(uint64_t bits, uint64_t usual, gml_str *out)
{
    if (bits == usual)
        gml_str_puts(out, "nan");
    else
        gml_str_printf(out, "nan(0x%llx)", (unsigned long long)bits);
}

static uint32_t bits_of_single(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits;
}

#define GML_NAN_32 UINT32_C(0x7fc00000)
#define GML_NAN_64 UINT64_C(0x7ff8000000000000)

static uint64_t load_bits(const void *element, size_t size)
{
    uint64_t wide = 0;
    uint32_t word;
    uint16_t half;
    uint8_t byte;
    switch (size) {
    case 1: memcpy(&byte, element, 1); return byte;
    case 2: memcpy(&half, element, 2); return half;
    case 4: memcpy(&word, element, 4); return word;
    default: memcpy(&wide, element, 8); return wide;
    }
}

static void store_bits(void *element, size_t size, uint64_t bits)
{
    uint32_t word = (uint32_t)bits;
    uint16_t half = (uint16_t)bits;
    uint8_t byte = (uint8_t)bits;
    switch (size) {
    case 1: memcpy(element, &byte, 1); break;
    case 2: memcpy(element, &half, 2); break;
    case 4: memcpy(element, &word, 4); break;
    default: memcpy(element, &bits, 8); break;
    }
}

static void print_float(gml_dtype dtype, const void *element, gml_str *out)
{
    uint64_t bits = load_bits(element, gml_dtype_size(dtype));
    if (dtype == GML_F64) {
        double wide;
        memcpy(&wide, element, sizeof(wide));
        if (isnan(wide))
            print_nan(bits, GML_NAN_64, out);
        else
            print_double(wide, out);
        return;
    }
    bool is_single = dtype == GML_F32;
    float value;
    if (is_single)
        memcpy(&value, element, sizeof(value));
    else
        value = gml_small_to_float(dtype, (uint16_t)bits);
    if (!isnan(value)) {
        print_single(value, out);
        return;
    }
    uint64_t usual =
        is_single ? GML_NAN_32 : gml_small_from_float(dtype, NAN, true, GML_ROUND_NEAREST);
    print_nan(bits, usual, out);
}

static int64_t load_signed(const void *element, size_t size)
{
    uint64_t bits = load_bits(element, size);
    switch (size) {
    case 1: return (int8_t)bits;
    case 2: return (int16_t)bits;
    case 4: return (int32_t)bits;
    default: return (int64_t)bits;
    }
}

void gml_element_print(gml_dtype dtype, const void *element, gml_str *out)
{
    size_t size = gml_dtype_size(dtype);
    gml_dtype part = dtype == GML_C64 ? GML_F32 : GML_F64;
    gml_string string;
    switch (gml_dtype_get_class(dtype)) {
    case GML_CLASS_NONE: break;
    case GML_CLASS_FLOAT: print_float(dtype, element, out); break;
    case GML_CLASS_SIGNED:
        gml_str_printf(out, "%lld", (long long)load_signed(element, size));
        break;
    case GML_CLASS_UNSIGNED:
        gml_str_printf(out, "%llu", (unsigned long long)load_bits(element, size));
        break;
    case GML_CLASS_BOOL:
        gml_str_puts(out, load_bits(element, size) != 0 ? "true" : "false");
        break;
    case GML_CLASS_COMPLEX:
        gml_str_putc(out, '(');
        print_float(part, element, out);
        gml_str_puts(out, ", ");
        print_float(part, (const char *)element + size / 2, out);
        gml_str_putc(out, ')');
        break;
    case GML_CLASS_STRING:
        memcpy(&string, element, sizeof(string));
        gml_quote_print(string.data, string.len, out);
        break;
    }
}

void gml_float_print(float value, gml_str *out)
{
    size_t start = out->len;
    gml_element_print(GML_F32, &value, out);
    /* inf and nan have an n, exponents an e. */
    if (strpbrk(out->text + start, ".en") == NULL)
        gml_str_puts(out, ".0");
}

/* ---- Parsing ---------------------------------------------------------------------------- */

/* Copies the decimal number at `text` into `number`; 0 when there is none, or none that is
 * short enough to be one. strtod alone would also take blanks, hexadecimal and "infinity". */
static size_t copy_number(const char *text, char *number)
{
    size_t len = 0;
    bool has_digit = false;
    for (; len < GML_NUMBER_SIZE - 1; len++) {
        char byte = text[len];
        bool is_digit = byte >= '0' && byte <= '9';
        bool is_exponent = has_digit && (byte == 'e' || byte == 'E');
        bool is_sign = (byte == '-' || byte == '+') &&
                       (len == 0 || text[len - 1] == 'e' || text[len - 1] == 'E');
        if (!is_digit && !is_exponent && !is_sign && byte != '.')
            break;
        has_digit = has_digit || is_digit;
        number[len] = byte;
    }
    number[len] = '\0';
    return has_digit && len < GML_NUMBER_SIZE - 1 ? len : 0;
}

static bool accept_word(const char **text, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(*text, word, len) != 0)
        return false;
    *text += len;
    return true;
}

/* Finishes "nan" or "nan(0x…)". */
static const char *parse_nan(const char **text, uint64_t usual, size_t size, uint64_t *out_bits)
{
    *out_bits = usual;
    if (!accept_word(text, "(0x"))
        return NULL;
    size_t n_digits = 0;
    uint64_t bits = 0;
    for (; isxdigit((unsigned char)**text) && n_digits <= 2 * size; (*text)++) {
        char digit[2] = {**text, '\0'};
        bits = bits << 4 | (uint64_t)strtoul(digit, NULL, 16);
        n_digits++;
    }
    if (n_digits == 0 || n_digits > 2 * size || !accept_word(text, ")"))
        return "expected the bits of a nan";
    *out_bits = bits;
    return NULL;
}

static const char *store_number(gml_dtype dtype, const char *number, void *out_element)
{
    char *end;
    bool is_double = dtype == GML_F64;
    double wide = is_double ? strtod(number, &end) : 0;
    float value = is_double ? 0 : strtof(number, &end);
    if (*end != '\0')
        return "expected a number";
    if (isinf(wide) || isinf(value))
        return "a number is too large for its type";
    if (is_double) {
        memcpy(out_element, &wide, sizeof(wide));
    } else if (dtype == GML_F32) {
        memcpy(out_element, &value, sizeof(value));
    } else {
        uint16_t bits = gml_small_from_float(dtype, value, false, GML_ROUND_NEAREST);
        if (!isfinite(gml_small_to_float(dtype, bits)))
            return "a number is too large for its type";
        store_bits(out_element, gml_dtype_size(dtype), bits);
    }
    return NULL;
}

static uint64_t bits_of_special(gml_dtype dtype, float value)
{
    double wide = (double)value;
    uint64_t bits;
    if (isnan(value) && (dtype == GML_F64 || dtype == GML_F32))
        return dtype == GML_F64 ? GML_NAN_64 : GML_NAN_32;
    if (dtype == GML_F32)
        return bits_of_single(value);
    memcpy(&bits, &wide, sizeof(bits));
    return dtype == GML_F64 ? bits
                            : gml_small_from_float(dtype, value, false, GML_ROUND_NEAREST);
}

static const char *parse_float(gml_dtype dtype, const char **text, void *out_element)
{
    size_t size = gml_dtype_size(dtype);
    uint64_t bits;
    char number[GML_NUMBER_SIZE];
    if (accept_word(text, "nan")) {
        const char *problem = parse_nan(text, bits_of_special(dtype, NAN), size, &bits);
        if (problem == NULL)
            store_bits(out_element, size, bits);
        return problem;
    }
    bool is_inf = accept_word(text, "inf");
    if (is_inf || accept_word(text, "-inf")) {
        bits = bits_of_special(dtype, is_inf ? INFINITY : -INFINITY);
        store_bits(out_element, size, bits);
        return NULL;
    }
    size_t len = copy_number(*text, number);
    if (len == 0)
        return "expected a number";
    *text += len;
    return store_number(dtype, number, out_element);
}

static const char *parse_integer(gml_dtype dtype, const char **text, void *out_element)
{
    char number[GML_NUMBER_SIZE];
    size_t len = copy_number(*text, number);
    unsigned bits = gml_dtype_bits(dtype);
    bool is_signed = gml_dtype_get_class(dtype) == GML_CLASS_SIGNED;
    if (len == 0 || strpbrk(number, ".eE+") != NULL)
        return "expected an integer";
    char *end;
    errno = 0;
    long long value = is_signed ? strtoll(number, &end, 10) : 0;
    unsigned long long magnitude = is_signed ? 0 : strtoull(number, &end, 10);
    bool fits = errno == 0 && (is_signed || number[0] != '-');
    if (fits && bits < 64) {
        long long limit = 1LL << (bits - (is_signed ? 1 : 0));
        fits = is_signed ? value >= -limit && value < limit
                         : magnitude < (unsigned long long)limit;
    }
    if (!fits || *end != '\0')
        return "an integer does not fit its type";
    store_bits(out_element, gml_dtype_size(dtype), is_signed ? (uint64_t)value : magnitude);
    *text += len;
    return NULL;
}

static const char *parse_complex(gml_dtype dtype, const char **text, void *out_element)
{
    gml_dtype part = dtype == GML_C64 ? GML_F32 : GML_F64;
    if (!accept_word(text, "("))
        return "expected a complex number, (re, im)";
    const char *problem = parse_float(part, text, out_element);
    if (problem != NULL)
        return problem;
    if (!accept_word(text, ", ") && !accept_word(text, ","))
        return "expected a complex number, (re, im)";
    problem = parse_float(part, text, (char *)out_element + gml_dtype_size(part));
    if (problem == NULL && !accept_word(text, ")"))
        problem = "expected a complex number, (re, im)";
    return problem;
}

const char *gml_element_parse(gml_arena *arena, gml_dtype dtype, const char **text,
                              void *out_element)
{
    gml_string string;
    switch (gml_dtype_get_class(dtype)) {
    case GML_CLASS_NONE: break;
    case GML_CLASS_FLOAT: return parse_float(dtype, text, out_element);
    case GML_CLASS_SIGNED:
    case GML_CLASS_UNSIGNED: return parse_integer(dtype, text, out_element);
    case GML_CLASS_BOOL: {
        bool is_true = accept_word(text, "true");
        if (!is_true && !accept_word(text, "false"))
            return "expected true or false";
        store_bits(out_element, 1, is_true ? 1 : 0);
        return NULL;
    }
    case GML_CLASS_COMPLEX: return parse_complex(dtype, text, out_element);
    case GML_CLASS_STRING:
        if (!gml_quote_parse(arena, text, &string))
            return "expected a quoted string";
        memcpy(out_element, &string, sizeof(string));
        return NULL;
    }
    return "a tensor has no element type";
}
