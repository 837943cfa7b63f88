#include "runtime/host.h"

#include "base/half.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

gml_status gml_host_fail(gml_host_call *call, gml_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(call->error, sizeof call->error, format, args);
    va_end(args);
    return status;
}

const gml_attr *gml_host_attr(const gml_host_call *call, const char *name)
{
    for (size_t i = 0; i < call->n_attrs; i++) {
        if (strcmp(call->attrs[i].name, name) == 0)
            return &call->attrs[i];
    }
    return NULL;
}

int64_t gml_host_int(const gml_host_call *call, const char *name, int64_t fallback)
{
    const gml_attr *attr = gml_host_attr(call, name);
    return attr != NULL && attr->kind == GML_ATTR_INT ? attr->as.i : fallback;
}

float gml_host_float(const gml_host_call *call, const char *name, float fallback)
{
    const gml_attr *attr = gml_host_attr(call, name);
    return attr != NULL && attr->kind == GML_ATTR_FLOAT ? attr->as.f : fallback;
}

gml_string gml_host_string(const gml_host_call *call, const char *name)
{
    const gml_attr *attr = gml_host_attr(call, name);
    return attr != NULL && attr->kind == GML_ATTR_STRING ? attr->as.s : (gml_string){0};
}

bool gml_host_string_is(const gml_host_call *call, const char *name, const char *text)
{
    gml_string value = gml_host_string(call, name);
    return value.data != NULL && value.len == strlen(text) &&
           memcmp(value.data, text, value.len) == 0;
}

bool gml_host_has(const gml_host_call *call, unsigned input)
{
    return input < call->n_inputs && call->inputs[input].kind != GML_RVALUE_NONE;
}

/* Towards zero; what does not fit goes to the nearest end, NaN to zero. */
static int64_t int_from_double(double value)
{
    if (isnan(value))
        return 0;
    if (value >= 0x1p63)
        return INT64_MAX;
    if (value < -0x1p63)
        return INT64_MIN;
    return (int64_t)value;
}

/* Elements of a model file's tensors may lie at any address: hence memcpy. */
#define GML_LOAD(type)                                                                         \
    type value;                                                                                \
    memcpy(&value, (const char *)tensor->data + (size_t)i * sizeof value, sizeof value);

#define GML_LOAD_INT(type)                                                                     \
    {                                                                                          \
        GML_LOAD(type)                                                                         \
        return (int64_t)value;                                                                 \
    }

int64_t gml_host_get_int(const gml_tensor *tensor, int64_t i)
{
    switch (gml_dtype_get_class(tensor->dtype)) {
    case GML_CLASS_FLOAT: return int_from_double(gml_host_get_float(tensor, i));
    case GML_CLASS_SIGNED:
        switch (gml_dtype_size(tensor->dtype)) {
        case 1: GML_LOAD_INT(int8_t)
        case 2: GML_LOAD_INT(int16_t)
        case 4: GML_LOAD_INT(int32_t)
        default: GML_LOAD_INT(int64_t)
        }
    case GML_CLASS_UNSIGNED:
    case GML_CLASS_BOOL:
        switch (gml_dtype_size(tensor->dtype)) {
        case 1: GML_LOAD_INT(uint8_t)
        case 2: GML_LOAD_INT(uint16_t)
        case 4: GML_LOAD_INT(uint32_t)
        default: GML_LOAD_INT(uint64_t)
        }
    case GML_CLASS_NONE:
    case GML_CLASS_COMPLEX:
    case GML_CLASS_STRING: break;
    }
    return 0;
}

static double get_small(const gml_tensor *tensor, int64_t i)
{
    if (gml_dtype_size(tensor->dtype) == 2) {
        GML_LOAD(uint16_t)
        return (double)gml_small_to_float(tensor->dtype, value);
    }
    return (double)gml_small_to_float(tensor->dtype, ((const uint8_t *)tensor->data)[i]);
}

double gml_host_get_float(const gml_tensor *tensor, int64_t i)
{
    if (tensor->dtype == GML_F32) {
        GML_LOAD(float)
        return (double)value;
    }
    if (tensor->dtype == GML_F64) {
        GML_LOAD(double)
        return value;
    }
    if (gml_dtype_get_class(tensor->dtype) == GML_CLASS_FLOAT)
        return get_small(tensor, i);
    int64_t value = gml_host_get_int(tensor, i);
    return tensor->dtype == GML_U64 ? (double)(uint64_t)value : (double)value;
}

#define GML_STORE(type, number)                                                                \
    {                                                                                          \
        type value = (type)(number);                                                           \
        memcpy((char *)tensor->data + (size_t)i * sizeof value, &value, sizeof value);         \
        break;                                                                                 \
    }

/* The low bits of a byte as a `bits` wide number, sign-extended for signed types. */
static uint8_t narrow(gml_dtype dtype, int64_t number)
{
    unsigned bits = gml_dtype_bits(dtype);
    unsigned low = (unsigned)((uint64_t)number & ((1u << bits) - 1));
    bool negative = gml_dtype_get_class(dtype) == GML_CLASS_SIGNED && (low >> (bits - 1)) != 0;
    return (uint8_t)(negative ? low | (0xffu << bits) : low);
}

void gml_host_put_int(const gml_tensor *tensor, int64_t i, int64_t number)
{
    switch (gml_dtype_get_class(tensor->dtype)) {
    case GML_CLASS_BOOL: GML_STORE(uint8_t, number != 0)
    case GML_CLASS_FLOAT: gml_host_put(tensor, i, (double)number); break;
    case GML_CLASS_SIGNED:
    case GML_CLASS_UNSIGNED:
        switch (gml_dtype_size(tensor->dtype)) {
        case 1: GML_STORE(uint8_t, narrow(tensor->dtype, number))
        case 2: GML_STORE(uint16_t, number)
        case 4: GML_STORE(uint32_t, number)
        default: GML_STORE(int64_t, number)
        }
        break;
    case GML_CLASS_NONE:
    case GML_CLASS_COMPLEX:
    case GML_CLASS_STRING: break;
    }
}

static void put_float(const gml_tensor *tensor, int64_t i, double number)
{
    if (tensor->dtype == GML_F64) {
        memcpy((char *)tensor->data + (size_t)i * sizeof number, &number, sizeof number);
        return;
    }
    if (tensor->dtype == GML_F32) {
        float value = (float)number;
        memcpy((char *)tensor->data + (size_t)i * sizeof value, &value, sizeof value);
        return;
    }
    uint16_t bits = gml_small_from_double(tensor->dtype, number, false, GML_ROUND_NEAREST);
    if (gml_dtype_size(tensor->dtype) == 2)
        memcpy((char *)tensor->data + (size_t)i * sizeof bits, &bits, sizeof bits);
    else
        ((uint8_t *)tensor->data)[i] = (uint8_t)bits;
}

void gml_host_put(const gml_tensor *tensor, int64_t i, double number)
{
    gml_dtype_class dtype_class = gml_dtype_get_class(tensor->dtype);
    if (dtype_class == GML_CLASS_FLOAT)
        put_float(tensor, i, number);
    else if (dtype_class == GML_CLASS_BOOL)
        ((uint8_t *)tensor->data)[i] = number != 0;
    else if (tensor->dtype == GML_U64 && number >= 0x1p63)
        gml_host_put_int(tensor, i, (int64_t)(number < 0x1p64 ? (uint64_t)number : UINT64_MAX));
    else
        gml_host_put_int(tensor, i, int_from_double(number));
}
