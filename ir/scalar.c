/* ir/scalar.c - the scalar operators of loop IR, computed over lanes. */
#include "ir/scalar.h"

#include "base/diag.h"
#include "base/half.h"

#include <math.h>
#include <string.h>

static const struct {
    const char *name;
    int arity;
} scalar_table[GML_SCALAR_COUNT] = {
#define X(name, text, n) {#text, n},
#include "ir/scalars.def"
#undef X
};

const char *gml_scalar_name(gml_scalar_op op)
{
    return scalar_table[op].name;
}

int gml_scalar_arity(gml_scalar_op op)
{
    return scalar_table[op].arity;
}

gml_lane_kind gml_dtype_lanes(gml_dtype dtype)
{
    if (dtype == GML_F64)
        return GML_LANE_F64;
    return gml_dtype_get_class(dtype) == GML_CLASS_FLOAT ? GML_LANE_F32 : GML_LANE_I64;
}

int64_t gml_wrap_int(gml_dtype dtype, int64_t value)
{
    gml_dtype_class class = gml_dtype_get_class(dtype);
    if (class == GML_CLASS_BOOL)
        return value & 1;
    unsigned bits = gml_dtype_bits(dtype);
    if (bits >= 64 || bits == 0)
        return value;
    uint64_t low = (uint64_t)value & ((UINT64_C(1) << bits) - 1);
    if (class == GML_CLASS_SIGNED && low >> (bits - 1) != 0)
        low |= ~UINT64_C(0) << bits;
    return (int64_t)low;
}

/* ---- integers -----------------------------------------------------------------------------
 */

static int64_t int_div(int64_t a, int64_t b, bool is_u64)
{
    if (b == 0)
        return 0;
    if (is_u64)
        return (int64_t)((uint64_t)a / (uint64_t)b);
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static int64_t int_rem(int64_t a, int64_t b, bool is_u64)
{
    if (b == 0)
        return 0;
    if (is_u64)
        return (int64_t)((uint64_t)a % (uint64_t)b);
    return b == -1 ? 0 : a % b;
}

static int64_t int_floor_mod(int64_t a, int64_t b, bool is_u64)
{
    int64_t rem = int_rem(a, b, is_u64);
    return !is_u64 && rem != 0 && (rem < 0) != (b < 0) ? rem + b : rem;
}

static int64_t int_floor_div(int64_t a, int64_t b, bool is_u64)
{
    int64_t quotient = int_div(a, b, is_u64);
    int64_t rem = int_rem(a, b, is_u64);
    return !is_u64 && rem != 0 && (rem < 0) != (b < 0) ? quotient - 1 : quotient;
}

static int64_t int_pow(int64_t base, int64_t exponent, bool is_u64)
{
    if (!is_u64 && exponent < 0) {
        if (base == 1)
            return 1;
        if (base == -1)
            return exponent % 2 == 0 ? 1 : -1;
        return 0;
    }
    uint64_t result = 1;
    uint64_t factor = (uint64_t)base;
    for (uint64_t rest = (uint64_t)exponent; rest != 0; rest >>= 1) {
        if (rest & 1)
            result *= factor;
        factor *= factor;
    }
    return (int64_t)result;
}

static int64_t int_shl(int64_t a, int64_t b, unsigned bits)
{
    return (uint64_t)b >= bits ? 0 : (int64_t)((uint64_t)a << b);
}

static int64_t int_shr(int64_t a, int64_t b, unsigned bits, bool is_signed)
{
    if ((uint64_t)b >= bits)
        return is_signed && a < 0 ? -1 : 0;
    if (is_signed && a < 0)
        return (int64_t) ~(~(uint64_t)a >> b);
    return (int64_t)((uint64_t)a >> b);
}

#define EACH(expression)                                                                       \
    for (size_t i = 0; i < n; i++)                                                             \
        r[i] = (expression);                                                                   \
    break

static void int_binary(gml_scalar_op op, gml_dtype dtype, const int64_t *a, const int64_t *b,
                       int64_t *r, size_t n)
{
    bool is_u64 = dtype == GML_U64;
    bool is_signed = gml_dtype_get_class(dtype) == GML_CLASS_SIGNED;
    unsigned bits = gml_dtype_get_class(dtype) == GML_CLASS_BOOL ? 1 : gml_dtype_bits(dtype);
    /* flipping the top bit turns unsigned order into signed order */
    uint64_t flip = is_u64 ? UINT64_C(1) << 63 : 0;
#define KEY(x) ((int64_t)((uint64_t)(x) ^ flip))
    switch ((int)op) {
    case GML_X_ADD: EACH((int64_t)((uint64_t)a[i] + (uint64_t)b[i]));
    case GML_X_SUB: EACH((int64_t)((uint64_t)a[i] - (uint64_t)b[i]));
    case GML_X_MUL: EACH((int64_t)((uint64_t)a[i] * (uint64_t)b[i]));
    case GML_X_DIV: EACH(int_div(a[i], b[i], is_u64));
    case GML_X_REM: EACH(int_rem(a[i], b[i], is_u64));
    case GML_X_FLOORDIV: EACH(int_floor_div(a[i], b[i], is_u64));
    case GML_X_FLOORMOD: EACH(int_floor_mod(a[i], b[i], is_u64));
    case GML_X_POW: EACH(int_pow(a[i], b[i], is_u64));
    case GML_X_MIN: EACH(KEY(a[i]) < KEY(b[i]) ? a[i] : b[i]);
    case GML_X_MAX: EACH(KEY(a[i]) > KEY(b[i]) ? a[i] : b[i]);
    case GML_X_AND: EACH(a[i] & b[i]);
    case GML_X_OR: EACH(a[i] | b[i]);
    case GML_X_XOR: EACH(a[i] ^ b[i]);
    case GML_X_SHL: EACH(int_shl(a[i], b[i], bits));
    case GML_X_SHR: EACH(int_shr(a[i], b[i], bits, is_signed));
    case GML_X_EQ: EACH(a[i] == b[i]);
    case GML_X_NE: EACH(a[i] != b[i]);
    case GML_X_LT: EACH(KEY(a[i]) < KEY(b[i]));
    case GML_X_LE: EACH(KEY(a[i]) <= KEY(b[i]));
    case GML_X_GT: EACH(KEY(a[i]) > KEY(b[i]));
    case GML_X_GE: EACH(KEY(a[i]) >= KEY(b[i]));
    default: GML_BUG("scalar operator has no integer form");
    }
#undef KEY
}

static void int_unary(gml_scalar_op op, gml_dtype dtype, const int64_t *a, int64_t *r, size_t n)
{
    bool is_bool = gml_dtype_get_class(dtype) == GML_CLASS_BOOL;
    bool is_signed = gml_dtype_get_class(dtype) == GML_CLASS_SIGNED;
    switch ((int)op) {
    case GML_X_NEG: EACH((int64_t)(0 - (uint64_t)a[i]));
    case GML_X_ABS: EACH(is_signed && a[i] < 0 ? (int64_t)(0 - (uint64_t)a[i]) : a[i]);
    case GML_X_NOT: EACH(is_bool ? !a[i] : ~a[i]);
    case GML_X_FLOOR:
    case GML_X_CEIL:
    case GML_X_ROUND:
    case GML_X_TRUNC: EACH(a[i]);
    case GML_X_ISNAN:
    case GML_X_ISINF: EACH(0);
    default: GML_BUG("scalar operator has no integer form");
    }
}

/* ---- floats -------------------------------------------------------------------------------
 */

/* The functions below are written once for float and double. */
#define FLOAT_OPS(T, suffix)                                                                   \
    static T min_##suffix(T a, T b)                                                            \
    {                                                                                          \
        return isnan(a) || isnan(b) ? (T)NAN : (a < b ? a : b);                                \
    }                                                                                          \
    static T max_##suffix(T a, T b)                                                            \
    {                                                                                          \
        return isnan(a) || isnan(b) ? (T)NAN : (a > b ? a : b);                                \
    }                                                                                          \
    static void binary_##suffix(gml_scalar_op op, const T *a, const T *b, T *r, size_t n)      \
    {                                                                                          \
        switch ((int)op) {                                                                     \
        case GML_X_ADD: EACH(a[i] + b[i]);                                                     \
        case GML_X_SUB: EACH(a[i] - b[i]);                                                     \
        case GML_X_MUL: EACH(a[i] * b[i]);                                                     \
        case GML_X_DIV: EACH(a[i] / b[i]);                                                     \
        case GML_X_REM: EACH((T)fmod((double)a[i], (double)b[i]));                             \
        case GML_X_POW: EACH((T)pow((double)a[i], (double)b[i]));                              \
        case GML_X_MIN: EACH(min_##suffix(a[i], b[i]));                                        \
        case GML_X_MAX: EACH(max_##suffix(a[i], b[i]));                                        \
        default: GML_BUG("scalar operator has no float form");                                 \
        }                                                                                      \
    }                                                                                          \
    static void compare_##suffix(gml_scalar_op op, const T *a, const T *b, int64_t *r,         \
                                 size_t n)                                                     \
    {                                                                                          \
        switch ((int)op) {                                                                     \
        case GML_X_EQ: EACH(a[i] == b[i]);                                                     \
        case GML_X_NE: EACH(a[i] != b[i]);                                                     \
        case GML_X_LT: EACH(a[i] < b[i]);                                                      \
        case GML_X_LE: EACH(a[i] <= b[i]);                                                     \
        case GML_X_GT: EACH(a[i] > b[i]);                                                      \
        case GML_X_GE: EACH(a[i] >= b[i]);                                                     \
        case GML_X_ISNAN: EACH(isnan(a[i]) != 0);                                              \
        case GML_X_ISINF: EACH(isinf(a[i]) != 0);                                              \
        default: GML_BUG("not a comparison");                                                  \
        }                                                                                      \
    }                                                                                          \
    static void unary_##suffix(gml_scalar_op op, const T *a, T *r, size_t n)                   \
    {                                                                                          \
        switch ((int)op) {                                                                     \
        case GML_X_NEG: EACH(-a[i]);                                                           \
        case GML_X_ABS: EACH((T)fabs((double)a[i]));                                           \
        case GML_X_FLOOR: EACH((T)floor((double)a[i]));                                        \
        case GML_X_CEIL: EACH((T)ceil((double)a[i]));                                          \
        case GML_X_ROUND: EACH((T)rint((double)a[i]));                                         \
        case GML_X_TRUNC: EACH((T)trunc((double)a[i]));                                        \
        case GML_X_SQRT: EACH((T)sqrt((double)a[i]));                                          \
        case GML_X_EXP: EACH((T)exp((double)a[i]));                                            \
        case GML_X_LOG: EACH((T)log((double)a[i]));                                            \
        case GML_X_SIN: EACH((T)sin((double)a[i]));                                            \
        case GML_X_COS: EACH((T)cos((double)a[i]));                                            \
        case GML_X_TAN: EACH((T)tan((double)a[i]));                                            \
        case GML_X_ASIN: EACH((T)asin((double)a[i]));                                          \
        case GML_X_ACOS: EACH((T)acos((double)a[i]));                                          \
        case GML_X_ATAN: EACH((T)atan((double)a[i]));                                          \
        case GML_X_SINH: EACH((T)sinh((double)a[i]));                                          \
        case GML_X_COSH: EACH((T)cosh((double)a[i]));                                          \
        case GML_X_TANH: EACH((T)tanh((double)a[i]));                                          \
        case GML_X_ASINH: EACH((T)asinh((double)a[i]));                                        \
        case GML_X_ACOSH: EACH((T)acosh((double)a[i]));                                        \
        case GML_X_ATANH: EACH((T)atanh((double)a[i]));                                        \
        case GML_X_ERF: EACH((T)erf((double)a[i]));                                            \
        default: GML_BUG("scalar operator has no float form");                                 \
        }                                                                                      \
    }
/* clang-format off */
FLOAT_OPS(float, f32)
FLOAT_OPS(double, f64)
/* clang-format on */

/* Rounds lanes to what `dtype` can hold. */
static void round_lanes(gml_dtype dtype, void *lanes, size_t n)
{
    if (gml_dtype_lanes(dtype) == GML_LANE_I64) {
        int64_t *r = lanes;
        if (gml_dtype_get_class(dtype) == GML_CLASS_BOOL)
            for (size_t i = 0; i < n; i++)
                r[i] &= 1;
        else if (gml_dtype_bits(dtype) < 64)
            for (size_t i = 0; i < n; i++)
                r[i] = gml_wrap_int(dtype, r[i]);
    } else if (dtype != GML_F32 && dtype != GML_F64) {
        float *r = lanes;
        for (size_t i = 0; i < n; i++)
            r[i] = gml_small_to_float(
                dtype, gml_small_from_float(dtype, r[i], false, GML_ROUND_NEAREST));
    }
}

/* ---- casts --------------------------------------------------------------------------------
 */

/* Towards zero; outside the 64-bit range the nearest end, NaN 0. */
static int64_t float_to_int(double value, bool is_u64)
{
    if (isnan(value))
        return 0;
    if (is_u64) {
        if (value >= 18446744073709551616.0)
            return -1;
        return value <= 0 ? 0 : (int64_t)(uint64_t)value;
    }
    if (value >= 9223372036854775808.0)
        return INT64_MAX;
    return value <= -9223372036854775808.0 ? INT64_MIN : (int64_t)value;
}

static int64_t clamp_to(gml_dtype dtype, double value)
{
    if (isnan(value))
        return 0;
    unsigned bits = gml_dtype_bits(dtype);
    bool is_signed = gml_dtype_get_class(dtype) == GML_CLASS_SIGNED;
    if (bits < 64) {
        double high = is_signed ? (double)((INT64_C(1) << (bits - 1)) - 1)
                                : (double)((INT64_C(1) << bits) - 1);
        double low = is_signed ? -(double)(INT64_C(1) << (bits - 1)) : 0;
        value = value < low ? low : (value > high ? high : value);
    }
    return float_to_int(value, dtype == GML_U64);
}

static double lane_as_double(gml_dtype from, const void *lanes, size_t i)
{
    switch (gml_dtype_lanes(from)) {
    case GML_LANE_F32: return (double)((const float *)lanes)[i];
    case GML_LANE_F64: return ((const double *)lanes)[i];
    case GML_LANE_I64: break;
    }
    int64_t value = ((const int64_t *)lanes)[i];
    return from == GML_U64 ? (double)(uint64_t)value : (double)value;
}

static void cast_to_int(gml_dtype to, gml_dtype from, unsigned flags, const void *in,
                        int64_t *out, size_t n)
{
    bool to_bool = gml_dtype_get_class(to) == GML_CLASS_BOOL;
    bool from_int = gml_dtype_lanes(from) == GML_LANE_I64;
    for (size_t i = 0; i < n; i++) {
        if (from_int && !(flags & GML_CAST_CLAMP)) {
            int64_t value = ((const int64_t *)in)[i];
            out[i] = to_bool ? value != 0 : gml_wrap_int(to, value);
            continue;
        }
        double value = lane_as_double(from, in, i);
        if (to_bool)
            out[i] = value != 0;
        else if (flags & GML_CAST_CLAMP)
            out[i] = clamp_to(to, value);
        else
            out[i] = gml_wrap_int(to, float_to_int(value, to == GML_U64));
    }
}

static void cast_to_float(gml_dtype to, gml_dtype from, unsigned flags, const void *in,
                          void *out, size_t n)
{
    if (to == GML_F64) {
        for (size_t i = 0; i < n; i++)
            ((double *)out)[i] = lane_as_double(from, in, i);
        return;
    }
    float *r = out;
    if (to == GML_F32) {
        for (size_t i = 0; i < n; i++) {
            if (from == GML_U64)
                r[i] = (float)((const uint64_t *)in)[i];
            else if (gml_dtype_lanes(from) == GML_LANE_I64)
                r[i] = (float)((const int64_t *)in)[i];
            else
                r[i] = (float)lane_as_double(from, in, i);
        }
        return;
    }
    gml_round round = GML_ROUND_NEAREST;
    if (flags & GML_CAST_UP)
        round = GML_ROUND_UP;
    if (flags & GML_CAST_DOWN)
        round = GML_ROUND_DOWN;
    bool saturate = (flags & GML_CAST_SATURATE) != 0;
    for (size_t i = 0; i < n; i++)
        r[i] = gml_small_to_float(
            to, gml_small_from_double(to, lane_as_double(from, in, i), saturate, round));
}

/* Through memory: the bytes are what is kept. */
static void bitcast(gml_dtype to, gml_dtype from, const void *in, void *out, size_t n)
{
    size_t in_size = gml_lane_size(gml_dtype_lanes(from));
    size_t out_size = gml_lane_size(gml_dtype_lanes(to));
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes = 0;
        gml_lanes_store(from, &bytes, 0, (const char *)in + i * in_size, 1);
        gml_lanes_load(to, &bytes, 0, (char *)out + i * out_size, 1);
    }
}

static void select_lanes(gml_lane_kind kind, const int64_t *cond, const void *a, const void *b,
                         void *out, size_t n)
{
    if (kind == GML_LANE_F32) {
        float *r = out;
        for (size_t i = 0; i < n; i++)
            r[i] = cond[i] ? ((const float *)a)[i] : ((const float *)b)[i];
    } else {
        /* doubles too: the bits are copied */
        uint64_t *r = out;
        for (size_t i = 0; i < n; i++)
            r[i] = cond[i] ? ((const uint64_t *)a)[i] : ((const uint64_t *)b)[i];
    }
}

static bool gives_bool(gml_scalar_op op)
{
    return (op >= GML_X_EQ && op <= GML_X_GE) || op == GML_X_ISNAN || op == GML_X_ISINF;
}

void gml_scalar_lanes(gml_scalar_op op, gml_dtype dtype, gml_dtype arg_dtype, unsigned flags,
                      const void *const *args, void *out, size_t n)
{
    gml_lane_kind kind = gml_dtype_lanes(arg_dtype);
    if (op == GML_X_SELECT) {
        select_lanes(kind, args[0], args[1], args[2], out, n);
        return;
    }
    if (op == GML_X_CAST) {
        if (gml_dtype_lanes(dtype) == GML_LANE_I64)
            cast_to_int(dtype, arg_dtype, flags, args[0], out, n);
        else
            cast_to_float(dtype, arg_dtype, flags, args[0], out, n);
        return;
    }
    if (op == GML_X_BITCAST) {
        bitcast(dtype, arg_dtype, args[0], out, n);
        return;
    }
    bool binary = gml_scalar_arity(op) == 2;
    if (kind == GML_LANE_I64) {
        if (binary)
            int_binary(op, arg_dtype, args[0], args[1], out, n);
        else
            int_unary(op, arg_dtype, args[0], out, n);
    } else if (gives_bool(op)) {
        if (kind == GML_LANE_F32)
            compare_f32(op, args[0], args[1], out, n);
        else
            compare_f64(op, args[0], args[1], out, n);
        return;
    } else if (kind == GML_LANE_F32) {
        if (binary)
            binary_f32(op, args[0], args[1], out, n);
        else
            unary_f32(op, args[0], out, n);
    } else {
        if (binary)
            binary_f64(op, args[0], args[1], out, n);
        else
            unary_f64(op, args[0], out, n);
    }
    if (!gives_bool(op))
        round_lanes(dtype, out, n);
}

/* ---- reductions ---------------------------------------------------------------------------
 */

static const gml_scalar_op reduce_scalar[] = {
    [GML_REDUCE_SUM] = GML_X_ADD, [GML_REDUCE_PROD] = GML_X_MUL, [GML_REDUCE_MIN] = GML_X_MIN,
    [GML_REDUCE_MAX] = GML_X_MAX, [GML_REDUCE_AND] = GML_X_AND,  [GML_REDUCE_OR] = GML_X_OR,
};

void gml_reduce_lanes(gml_reduce_op op, gml_dtype dtype, void *acc, const void *x, size_t n)
{
    const void *args[2] = {acc, x};
    gml_scalar_lanes(reduce_scalar[op], dtype, dtype, 0, args, acc, n);
}

static int64_t int_identity(gml_reduce_op op, gml_dtype dtype)
{
    bool is_signed = gml_dtype_get_class(dtype) == GML_CLASS_SIGNED;
    unsigned bits = gml_dtype_get_class(dtype) == GML_CLASS_BOOL ? 1 : gml_dtype_bits(dtype);
    uint64_t ones = bits >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1;
    switch (op) {
    case GML_REDUCE_SUM:
    case GML_REDUCE_OR: return 0;
    case GML_REDUCE_PROD: return 1;
    case GML_REDUCE_AND: return gml_wrap_int(dtype, -1);
    case GML_REDUCE_MIN: return is_signed ? (int64_t)(ones >> 1) : (int64_t)ones;
    case GML_REDUCE_MAX: return is_signed ? -(int64_t)(ones >> 1) - 1 : 0;
    }
    return 0;
}

void gml_reduce_identity(gml_reduce_op op, gml_dtype dtype, void *acc, size_t n)
{
    gml_lane_kind kind = gml_dtype_lanes(dtype);
    double value = 0;
    if (op == GML_REDUCE_PROD)
        value = 1;
    else if (op == GML_REDUCE_MIN)
        value = (double)INFINITY;
    else if (op == GML_REDUCE_MAX)
        value = -(double)INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (kind == GML_LANE_F32)
            ((float *)acc)[i] = (float)value;
        else if (kind == GML_LANE_F64)
            ((double *)acc)[i] = value;
        else
            ((int64_t *)acc)[i] = int_identity(op, dtype);
    }
}

/* ---- memory -------------------------------------------------------------------------------
 */

#define LOAD_AS(T, L)                                                                          \
    for (size_t i = 0; i < n; i++) {                                                           \
        T element;                                                                             \
        memcpy(&element, bytes + (int64_t)i * step, sizeof element);                           \
        ((L *)out)[i] = (L)element;                                                            \
    }                                                                                          \
    break

void gml_lanes_load(gml_dtype dtype, const void *data, int64_t stride, void *out, size_t n)
{
    const char *bytes = data;
    int64_t step = stride * (int64_t)gml_dtype_size(dtype);
    switch ((int)dtype) {
    case GML_F32: LOAD_AS(float, float);
    case GML_F64: LOAD_AS(double, double);
    case GML_I64:
    case GML_U64: LOAD_AS(int64_t, int64_t);
    case GML_I32: LOAD_AS(int32_t, int64_t);
    case GML_U32: LOAD_AS(uint32_t, int64_t);
    case GML_I16: LOAD_AS(int16_t, int64_t);
    case GML_U16: LOAD_AS(uint16_t, int64_t);
    case GML_I8:
    case GML_I4:
    case GML_I2: LOAD_AS(int8_t, int64_t);
    case GML_U8:
    case GML_U4:
    case GML_U2:
    case GML_BOOL: LOAD_AS(uint8_t, int64_t);
    default:
        for (size_t i = 0; i < n; i++) {
            uint16_t bits = 0;
            memcpy(&bits, bytes + (int64_t)i * step, gml_dtype_size(dtype));
            ((float *)out)[i] = gml_small_to_float(dtype, bits);
        }
    }
}

#define STORE_AS(T, L)                                                                         \
    for (size_t i = 0; i < n; i++) {                                                           \
        T element = (T)((const L *)lanes)[i];                                                  \
        memcpy(bytes + (int64_t)i * step, &element, sizeof element);                           \
    }                                                                                          \
    break

void gml_lanes_store(gml_dtype dtype, void *data, int64_t stride, const void *lanes, size_t n)
{
    char *bytes = data;
    int64_t step = stride * (int64_t)gml_dtype_size(dtype);
    switch ((int)dtype) {
    case GML_F32: STORE_AS(float, float);
    case GML_F64: STORE_AS(double, double);
    case GML_I64:
    case GML_U64: STORE_AS(int64_t, int64_t);
    case GML_I32:
    case GML_U32: STORE_AS(uint32_t, int64_t);
    case GML_I16:
    case GML_U16: STORE_AS(uint16_t, int64_t);
    case GML_I8:
    case GML_I4:
    case GML_I2:
    case GML_U8:
    case GML_U4:
    case GML_U2:
    case GML_BOOL: STORE_AS(uint8_t, int64_t);
    default:
        for (size_t i = 0; i < n; i++) {
            /* lanes were rounded before: the conversion is exact */
            uint16_t bits = gml_small_from_float(dtype, ((const float *)lanes)[i], false,
                                                 GML_ROUND_NEAREST);
            memcpy(bytes + (int64_t)i * step, &bits, gml_dtype_size(dtype));
        }
    }
}
