/* runtime/host/cast_string.c - numbers to text and text to numbers; the attribute `to` decides.
 *
 * Text that is no number is an error, and so is an integer outside its type. Fractions become
 * integers towards zero. */
#include "base/half.h"
#include "runtime/host/text_util.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static gml_status to_strings(gml_host_call *call, gml_scratch *scratch, const gml_tensor *x)
{
    int64_t n = gml_tensor_numel(x);
    gml_string *strings = gml_scratch_array(scratch, gml_string, n);
    char *text = gml_scratch_alloc(scratch, (size_t)n, GML_NUMBER_TEXT);
    if (strings == NULL || text == NULL)
        return gml_host_no_memory(call);
    for (int64_t i = 0; i < n; i++) {
        char *at = text + i * GML_NUMBER_TEXT;
        strings[i] = (gml_string){.data = at, .len = gml_number_print(x, i, at)};
    }
    return gml_host_set_strings(call, 0, x->rank, x->dims, strings);
}

/* True when integer `number` is a value of `dtype`. */
static bool fits(gml_dtype dtype, const gml_number *number)
{
    unsigned bits = gml_dtype_bits(dtype);
    if (number->overflows)
        return false;
    if (gml_dtype_get_class(dtype) == GML_CLASS_UNSIGNED)
        return (!number->is_negative || number->i == 0) &&
               (bits == 64 || (uint64_t)number->i >> bits == 0);
    if (!number->is_negative && number->i < 0)
        return false; /* above the largest i64 */
    int64_t limit = bits == 64 ? INT64_MAX : ((int64_t)1 << (bits - 1)) - 1;
    return number->i <= limit && number->i >= -limit - 1;
}

static bool parse_bool(gml_string text, bool *out_value)
{
    static const gml_string words[] = {{"True", 4}, {"true", 4}, {"False", 5}, {"false", 5}};
    for (int i = 0; i < 4; i++) {
        if (gml_string_equal(text, words[i])) {
            *out_value = i < 2;
            return true;
        }
    }
    return false;
}

static void put_float(gml_host_call *call, const gml_tensor *y, int64_t i, double value)
{
    bool saturate = gml_host_int(call, "saturate", 1) != 0;
    if (gml_dtype_size(y->dtype) != 1) {
        gml_host_put(y, i, value);
        return;
    }
    uint16_t bits = gml_small_from_double(y->dtype, value, saturate, GML_ROUND_UP);
    ((uint8_t *)y->data)[i] = (uint8_t)bits;
}

static gml_status put_number(gml_host_call *call, const gml_tensor *y, int64_t i,
                             gml_string text)
{
    gml_number number = {0};
    bool flag = false;
    gml_dtype_class dtype_class = gml_dtype_get_class(y->dtype);
    if (parse_bool(text, &flag)) {
        gml_host_put_int(y, i, flag);
        return GML_OK;
    }
    int shown = text.len < 40 ? (int)text.len : 40;
    if (!gml_number_parse(text, &number))
        return gml_host_fail(call, GML_E_INVALID, "string %" PRId64 ", '%.*s', is no number", i,
                             shown, text.len > 0 ? text.data : "");
    if (dtype_class == GML_CLASS_FLOAT) {
        put_float(call, y, i, number.f);
        return GML_OK;
    }
    if (dtype_class == GML_CLASS_BOOL) {
        gml_host_put_int(y, i, number.f != 0);
        return GML_OK;
    }
    if (!number.is_int) {
        number.overflows = !(fabs(number.f) < 0x1p63);
        number.i = number.overflows ? 0 : (int64_t)number.f;
        number.is_negative = number.i < 0;
    }
    if (!fits(y->dtype, &number))
        return gml_host_fail(call, GML_E_RANGE, "string %" PRId64 ", '%.*s', does not fit %s",
                             i, shown, text.data, gml_dtype_name(y->dtype));
    gml_host_put_int(y, i, number.i);
    return GML_OK;
}

static gml_status from_strings(gml_host_call *call, const gml_tensor *x, gml_dtype dtype)
{
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, dtype, x->rank, x->dims, &y));
    for (int64_t i = 0; i < gml_tensor_numel(x); i++)
        GML_TRY(put_number(call, y, i, gml_strings_of(x)[i]));
    return GML_OK;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    int64_t to = gml_host_int(call, "to", GML_NONE);
    if (to <= GML_NONE || to >= GML_DTYPE_COUNT ||
        gml_dtype_get_class((gml_dtype)to) == GML_CLASS_COMPLEX)
        return gml_host_fail(call, GML_E_TYPE, "there is no cast to element type %" PRId64, to);
    if (x->dtype == GML_STRING && to == GML_STRING)
        return gml_host_set_copy(call, 0, &call->inputs[0]);
    if (x->dtype == GML_STRING)
        return from_strings(call, x, (gml_dtype)to);
    if (to == GML_STRING && gml_dtype_get_class(x->dtype) != GML_CLASS_COMPLEX)
        return to_strings(call, scratch, x);
    return gml_host_fail(call, GML_E_TYPE, "neither side of the cast is a string");
}

gml_status gml_host_cast_string(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
