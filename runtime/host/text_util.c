#include "runtime/host/text_util.h"

#include "base/half.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static double round_to(gml_dtype dtype, double value)
{
    if (dtype == GML_F64)
        return value;
    if (dtype == GML_F32)
        return (double)(float)value;
    uint16_t bits = gml_small_from_double(dtype, value, false, GML_ROUND_NEAREST);
    return (double)gml_small_to_float(dtype, bits);
}

/* The fewest significant digits that read back as `value`, a positive finite number, and the
 * exponent of the first. Returns how many. */
static int shortest_digits(gml_dtype dtype, double value, char digits[20], int *out_exponent)
{
    char text[40];
    for (int n = 1;; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, value);
        if (n < 17 && round_to(dtype, strtod(text, NULL)) != value)
            continue;
        /* d.ddde+xx; the character after the first digit is the locale's */
        digits[0] = text[0];
        const char *exponent = strchr(text, 'e');
        if (n > 1)
            memcpy(digits + 1, exponent - (n - 1), (size_t)n - 1);
        *out_exponent = (int)strtol(exponent + 1, NULL, 10);
        return n;
    }
}

static size_t put_zeros(char *text, size_t at, int count)
{
    for (int i = 0; i < count; i++)
        text[at++] = '0';
    return at;
}

static size_t put_word(char *text, size_t at, const char *word)
{
    for (; *word != '\0'; word++)
        text[at++] = *word;
    return at;
}

static size_t print_digits(const char *digits, int n, int exponent, char *text)
{
    size_t at = 0;
    if (exponent < -4 || exponent >= 16) {
        text[at++] = digits[0];
        if (n > 1)
            text[at++] = '.';
        memcpy(text + at, digits + 1, (size_t)n - 1);
        at += (size_t)n - 1;
        return at + (size_t)snprintf(text + at, 8, "e%c%02d", exponent < 0 ? '-' : '+',
                                     abs(exponent));
    }
    if (exponent < 0) {
        at = put_zeros(text, at, 1);
        text[at++] = '.';
        at = put_zeros(text, at, -exponent - 1);
        memcpy(text + at, digits, (size_t)n);
        return at + (size_t)n;
    }
    int whole = exponent + 1;
    int given = n < whole ? n : whole;
    memcpy(text, digits, (size_t)given);
    at = put_zeros(text, (size_t)given, whole - given);
    text[at++] = '.';
    if (n <= whole)
        return put_zeros(text, at, 1);
    memcpy(text + at, digits + whole, (size_t)(n - whole));
    return at + (size_t)(n - whole);
}

static size_t print_float(const gml_tensor *tensor, int64_t i, char *text)
{
    double value = gml_host_get_float(tensor, i);
    if (isnan(value)) {
        return put_word(text, 0, "nan");
    }
    size_t at = 0;
    if (signbit(value))
        text[at++] = '-';
    value = fabs(value);
    if (isinf(value)) {
        return put_word(text, at, "inf");
    }
    if (value == 0) {
        return put_word(text, at, "0.0");
    }
    char digits[20];
    int exponent = 0;
    int n = shortest_digits(tensor->dtype, value, digits, &exponent);
    return at + print_digits(digits, n, exponent, text + at);
}

size_t gml_number_print(const gml_tensor *tensor, int64_t i, char text[GML_NUMBER_TEXT])
{
    if (gml_dtype_get_class(tensor->dtype) == GML_CLASS_FLOAT)
        return print_float(tensor, i, text);
    int64_t value = gml_host_get_int(tensor, i);
    int len = 0;
    if (tensor->dtype == GML_BOOL)
        len = snprintf(text, GML_NUMBER_TEXT, "%s", value != 0 ? "True" : "False");
    else if (tensor->dtype == GML_U64)
        len = snprintf(text, GML_NUMBER_TEXT, "%" PRIu64, (uint64_t)value);
    else
        len = snprintf(text, GML_NUMBER_TEXT, "%" PRId64, value);
    return (size_t)len;
}

static bool is_ascii_space(char byte)
{
    return (byte >= 9 && byte <= 13) || byte == ' ';
}

static gml_string trim(gml_string text)
{
    while (text.len > 0 && is_ascii_space(text.data[0])) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && is_ascii_space(text.data[text.len - 1]))
        text.len--;
    return text;
}

static bool equals_ignoring_case(gml_string text, const char *word)
{
    if (text.len != strlen(word))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if ((text.data[i] | 0x20) != word[i])
            return false;
    }
    return true;
}

/* Digits only; `text` has no sign. */
static bool parse_digits(gml_string text, gml_number *number)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9)
            return false;
        if (value > (UINT64_MAX - digit) / 10)
            number->overflows = true;
        value = value * 10 + digit;
    }
    number->overflows |= number->is_negative && value > (uint64_t)1 << 63;
    number->is_int = true;
    number->i = (int64_t)(number->is_negative ? 0 - value : value);
    return text.len > 0;
}

/* True when `text` is digits[.digits][e[+-]digits], with at least one digit before the
 * exponent. */
static bool is_decimal(gml_string text)
{
    size_t i = 0;
    size_t n_digits = 0;
    bool has_point = false;
    for (; i < text.len; i++) {
        if (text.data[i] == '.' && !has_point)
            has_point = true;
        else if (text.data[i] >= '0' && text.data[i] <= '9')
            n_digits++;
        else
            break;
    }
    if (n_digits == 0 || i == text.len)
        return n_digits > 0;
    if ((text.data[i++] | 0x20) != 'e')
        return false;
    if (i < text.len && (text.data[i] == '+' || text.data[i] == '-'))
        i++;
    n_digits = 0;
    while (i < text.len && text.data[i] >= '0' && text.data[i] <= '9') {
        i++;
        n_digits++;
    }
    return n_digits > 0 && i == text.len;
}

/* strtod expects the locale's point, which may be anything: it is asked for. */
static bool parse_decimal(gml_string text, double *out_value)
{
    enum { GML_LIMIT = 400 };
    char copy[GML_LIMIT + 16];
    char point[16];
    if (!is_decimal(text) || text.len > GML_LIMIT)
        return false;
    int point_len = snprintf(point, sizeof point, "%.1f", 0.0) - 2; /* "0.0", "0,0" */
    size_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '.') {
            copy[at++] = text.data[i];
            continue;
        }
        for (int k = 0; k < point_len; k++)
            copy[at++] = point[1 + k];
    }
    copy[at] = '\0';
    *out_value = strtod(copy, NULL);
    return true;
}

bool gml_number_parse(gml_string text, gml_number *out_number)
{
    gml_number number = {0};
    text = trim(text);
    if (text.len > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        number.is_negative = text.data[0] == '-';
        text.data++;
        text.len--;
    }
    if (equals_ignoring_case(text, "nan"))
        number.f = NAN;
    else if (equals_ignoring_case(text, "inf") || equals_ignoring_case(text, "infinity"))
        number.f = HUGE_VAL;
    else if (!parse_digits(text, &number)) {
        number.is_int = false;
        number.overflows = false;
        if (!parse_decimal(text, &number.f))
            return false;
    } else if (!parse_decimal(text, &number.f)) {
        number.f = HUGE_VAL; /* hundreds of digits */
    }
    if (number.is_negative)
        number.f = -number.f;
    *out_number = number;
    return true;
}

size_t gml_utf8_next(const char *text, size_t len, int32_t *out_code)
{
    utf8proc_int32_t code = -1;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text,
                                          len > 8 ? 8 : (utf8proc_ssize_t)len, &code);
    *out_code = n > 0 ? code : -1;
    return n > 0 ? (size_t)n : 1;
}

bool gml_is_space(int32_t code)
{
    return (code >= 9 && code <= 13) || (code >= 28 && code <= 32) || code == 0x85 ||
           code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
           code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
           code == 0x3000;
}

bool gml_strings_push(gml_strings *strings, gml_scratch *scratch, gml_string string)
{
    if (strings->count == strings->capacity) {
        size_t capacity = 2 * strings->capacity + 16;
        gml_string *items = gml_scratch_array(scratch, gml_string, capacity);
        if (items == NULL)
            return false;
        if (strings->count > 0)
            memcpy(items, strings->items, strings->count * sizeof *items);
        strings->items = items;
        strings->capacity = capacity;
    }
    strings->items[strings->count++] = string;
    return true;
}
