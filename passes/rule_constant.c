/* passes/rule_constant.c - what is asked about constants. */
#include "ir/elementwise.h"
#include "ir/scalar.h"
#include "passes/rule.h"

#include <math.h>
#include <string.h>

#define GML_BLOCK       64
/* A larger constant is not read to find that all of its elements are one number. */
#define GML_MAX_UNIFORM 65536

static bool is_real(gml_dtype dtype)
{
    gml_dtype_class class = gml_dtype_get_class(dtype);
    return class != GML_CLASS_NONE && class != GML_CLASS_STRING && class != GML_CLASS_COMPLEX;
}

static double lane_number(gml_lane_kind kind, const uint64_t *lanes, size_t i)
{
    switch (kind) {
    case GML_LANE_F32: {
        float lane;
        memcpy(&lane, (const char *)lanes + i * sizeof lane, sizeof lane);
        return (double)lane;
    }
    case GML_LANE_F64: {
        double lane;
        memcpy(&lane, &lanes[i], sizeof lane);
        return lane;
    }
    case GML_LANE_I64: break;
    }
    int64_t lane;
    memcpy(&lane, &lanes[i], sizeof lane);
    return (double)lane;
}

/* `number` as an element of `dtype`, read back. */
static double rounded(gml_dtype dtype, double number)
{
    uint64_t lane[1] = {0};
    const void *args[3] = {&number, NULL, NULL};
    gml_scalar_lanes(GML_X_CAST, dtype, GML_F64, 0, args, lane, 1);
    return lane_number(gml_dtype_lanes(dtype), lane, 0);
}

static int mantissa_bits(gml_dtype dtype)
{
    switch ((int)dtype) {
    case GML_F64: return 52;
    case GML_F32: return 23;
    case GML_F16: return 10;
    case GML_BF16: return 7;
    default: return -1;
    }
}

bool gml_number_is(gml_dtype dtype, double value, double number, bool near)
{
    double wanted = rounded(dtype, number);
    int bits = mantissa_bits(dtype);
    /* a literal that an integer or a small float cannot hold is none of its elements */
    if (bits < 0 && wanted != number)
        return false;
    if (value == wanted)
        return gml_dtype_is_float(dtype) ? signbit(value) == signbit(wanted)
                                         : !signbit(number) || number != 0;
    if (!near || bits < 0 || !isfinite(value))
        return false;
    int exponent;
    frexp(wanted, &exponent);
    return fabs(value - wanted) <= ldexp(1.0, exponent - 1 - bits);
}

bool gml_constant_is(const gml_value *value, double number, bool near)
{
    const gml_tensor *tensor = value->constant;
    if (!tensor || !is_real(tensor->dtype))
        return false;
    int64_t count = gml_tensor_numel(tensor);
    if (count == 0 || count > GML_MAX_UNIFORM)
        return false;
    gml_lane_kind kind = gml_dtype_lanes(tensor->dtype);
    size_t size = gml_dtype_size(tensor->dtype);
    uint64_t lanes[GML_BLOCK];
    for (int64_t at = 0; at < count; at += GML_BLOCK) {
        size_t n = (size_t)(count - at < GML_BLOCK ? count - at : GML_BLOCK);
        gml_lanes_load(tensor->dtype, (const char *)tensor->data + (size_t)at * size, 1, lanes,
                       n);
        for (size_t i = 0; i < n; i++)
            if (!gml_number_is(tensor->dtype, lane_number(kind, lanes, i), number, near))
                return false;
    }
    return true;
}

bool gml_constant_number(const gml_value *value, double *out_number)
{
    const gml_tensor *tensor = value->constant;
    if (!tensor || !is_real(tensor->dtype) || gml_tensor_numel(tensor) != 1)
        return false;
    uint64_t lane[1] = {0};
    gml_lanes_load(tensor->dtype, tensor->data, 1, lane, 1);
    *out_number = lane_number(gml_dtype_lanes(tensor->dtype), lane, 0);
    return true;
}

bool gml_constants_equal(const gml_tensor *a, const gml_tensor *b, size_t max_bytes)
{
    if (!a || !b || a->dtype != b->dtype || a->rank != b->rank || !is_real(a->dtype))
        return false;
    for (int d = 0; d < a->rank; d++)
        if (a->dims[d] != b->dims[d])
            return false;
    size_t count = (size_t)gml_tensor_numel(a);
    if (a->data == b->data || count == 0)
        return true;
    size_t bytes = count * gml_dtype_size(a->dtype);
    return count <= max_bytes && bytes <= max_bytes && memcmp(a->data, b->data, bytes) == 0;
}

/* ---- attributes ---------------------------------------------------------------------------
 */

/* Tensors of more bytes are equal only where they share them. */
#define GML_SMALL_ATTR 4096

static bool same_string(const gml_string *a, const gml_string *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static bool same_bytes(const void *a, const void *b, size_t len)
{
    return len == 0 || memcmp(a, b, len) == 0;
}

bool gml_attr_equal(const gml_attr *a, const gml_attr *b)
{
    if (a->kind != b->kind)
        return false;
    bool count = a->count == b->count;
    switch (a->kind) {
    case GML_ATTR_INT: return a->as.i == b->as.i;
    case GML_ATTR_FLOAT: return same_bytes(&a->as.f, &b->as.f, sizeof a->as.f);
    case GML_ATTR_STRING: return same_string(&a->as.s, &b->as.s);
    case GML_ATTR_TYPE: return gml_type_equal(a->as.type, b->as.type);
    case GML_ATTR_TENSOR: return gml_constants_equal(a->as.t, b->as.t, GML_SMALL_ATTR);
    case GML_ATTR_INTS:
        return count && same_bytes(a->as.ints, b->as.ints, a->count * sizeof *a->as.ints);
    case GML_ATTR_FLOATS:
        return count && same_bytes(a->as.floats, b->as.floats, a->count * sizeof *a->as.floats);
    case GML_ATTR_STRINGS:
        for (size_t i = 0; count && i < a->count; i++)
            count = same_string(&a->as.strings[i], &b->as.strings[i]);
        return count;
    case GML_ATTR_NONE: return true;
    case GML_ATTR_GRAPH:
    case GML_ATTR_TENSORS: break;
    }
    return false;
}
