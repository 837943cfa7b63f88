/* base/half.c - the small float types, as rows of one table.
 *
 * Except for F8E8M0 every type is sign, exponent, mantissa, with subnormals, and differs only
 * in the widths, the bias, and what the largest codes mean. Rounding works on the 53 bits of a
 * double: with q the exponent of the result's last mantissa bit, never below that of the
 * subnormals, the value is r * 2^q for a rounded integer r, and the code is r + ((q - q_min) <<
 * mantissa_bits). The sum is right for subnormals (q = q_min, r below the hidden bit), for
 * normals (r has the hidden bit, which counts one into the exponent), and when rounding carries
 * into the next exponent.
 *
 * A float is first widened to double, which is exact, so there is always one rounding only.
 *
 * The file is device code too (codegen/device_code): where there is no C library it calls
 * nothing.
 */
#include "base/half.h"

#if __STDC_HOSTED__
#    include "base/diag.h"
#else
#    define GML_BUG(what) __builtin_unreachable()
#endif

#define GML_HALF_INF __builtin_inff()
#define GML_HALF_NAN __builtin_nanf("")

typedef struct gml_small {
    int exponent_bits;
    int mantissa_bits;
    int bias;
    uint16_t max;      /* code of the largest finite value */
    uint16_t overflow; /* what is beyond it becomes this, infinity where there is one */
    uint16_t nan;
    bool has_infinity;
    bool is_fnuz; /* one NaN, at the code of negative zero */
    bool clamps;  /* out of range gives the largest value, saturating or not */
} gml_small;

static const gml_small small_f16 = {5, 10, 15, 0x7bff, 0x7c00, 0x7e00, true, false, false};
static const gml_small small_bf16 = {8, 7, 127, 0x7f7f, 0x7f80, 0x7fc0, true, false, false};
static const gml_small small_f8e4m3fn = {4, 3, 7, 0x7e, 0x7f, 0x7f, false, false, false};
static const gml_small small_f8e4m3fnuz = {4, 3, 8, 0x7f, 0x80, 0x80, false, true, false};
static const gml_small small_f8e5m2 = {5, 2, 15, 0x7b, 0x7c, 0x7e, true, false, false};
static const gml_small small_f8e5m2fnuz = {5, 2, 16, 0x7f, 0x80, 0x80, false, true, false};
static const gml_small small_f4e2m1 = {2, 1, 1, 0x7, 0x7, 0x8, false, false, true};

static const gml_small *find_small(gml_dtype dtype)
{
    /* clang-format off */
    switch ((int)dtype) {
    case GML_F16:        return &small_f16;
    case GML_BF16:       return &small_bf16;
    case GML_F8E4M3FN:   return &small_f8e4m3fn;
    case GML_F8E4M3FNUZ: return &small_f8e4m3fnuz;
    case GML_F8E5M2:     return &small_f8e5m2;
    case GML_F8E5M2FNUZ: return &small_f8e5m2fnuz;
    case GML_F4E2M1:     return &small_f4e2m1;
    default:             GML_BUG("not a small float type");
    }
    /* clang-format on */
}

static uint16_t sign_bit(const gml_small *type)
{
    return (uint16_t)(1u << (type->exponent_bits + type->mantissa_bits));
}

typedef union gml_float_bits {
    uint32_t bits;
    float value;
} gml_float_bits;

typedef union gml_double_bits {
    uint64_t bits;
    double value;
} gml_double_bits;

static float float_of_bits(uint32_t bits)
{
    return ((gml_float_bits){.bits = bits}).value;
}

static uint32_t bits_of_float(float value)
{
    return ((gml_float_bits){.value = value}).bits;
}

static uint64_t bits_of_double(double value)
{
    return ((gml_double_bits){.value = value}).bits;
}

/* 2^exponent for -1022 to 1023 */
static double power_of_two(int exponent)
{
    return ((gml_double_bits){.bits = (uint64_t)(exponent + 1023) << 52}).value;
}

static bool is_nan(double value)
{
    return value != value;
}

static bool is_infinite(double value)
{
    return value == __builtin_inf() || value == -__builtin_inf();
}

/* ---- F8E8M0: the exponent of a float and nothing else; 0xff is NaN ---- */

static float e8m0_to_float(uint16_t bits)
{
    return bits == 0xff ? GML_HALF_NAN : (float)power_of_two((int)bits - 127);
}

/* Rounds with an unbounded exponent, then looks whether it fits. Zero is below the smallest
 * value. A negative value has no meaning here and becomes NaN; so does infinity unless it
 * saturates. */
static uint16_t e8m0_from_double(double value, bool saturate, gml_round round)
{
    if (is_nan(value) || value < 0)
        return 0xff;
    int exponent = 128;
    if (value < 0x1p-1022) { /* zero, and what is far too small in any case */
        exponent = -128;
    } else if (!is_infinite(value)) {
        uint64_t bits = bits_of_double(value);
        uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
        exponent = (int)(bits >> 52) - 1023;
        exponent += (round == GML_ROUND_UP && fraction > 0) ||
                    (round == GML_ROUND_NEAREST && fraction >> 51 != 0);
    }
    if (exponent > 127)
        return saturate ? 0xfe : 0xff;
    if (exponent < -127)
        return saturate ? 0x00 : 0xff;
    return (uint16_t)(exponent + 127);
}

/* ---- All others ---- */

static float decode(const gml_small *type, uint16_t bits)
{
    uint16_t sign = bits & sign_bit(type);
    uint16_t magnitude = bits & (uint16_t)(sign_bit(type) - 1);
    if (type->is_fnuz && bits == type->nan)
        return GML_HALF_NAN;
    if (type->has_infinity && magnitude == type->overflow)
        return sign != 0 ? -GML_HALF_INF : GML_HALF_INF;
    if (magnitude > type->max)
        return sign != 0 ? -GML_HALF_NAN : GML_HALF_NAN;
    int exponent = magnitude >> type->mantissa_bits;
    int mantissa = magnitude & ((1 << type->mantissa_bits) - 1);
    if (exponent == 0)
        exponent = 1;
    else
        mantissa += 1 << type->mantissa_bits;
    float value = (float)(mantissa * power_of_two(exponent - type->bias - type->mantissa_bits));
    return sign != 0 ? -value : value;
}

/* `value` / 2^`shift`, to nearest, ties to even; `value` is below 2^53, `shift` above 0. */
static uint64_t shift_rounded(uint64_t value, int shift)
{
    if (shift > 54)
        return 0;
    uint64_t result = value >> shift;
    uint64_t rest = value & ((UINT64_C(1) << shift) - 1);
    uint64_t half = UINT64_C(1) << (shift - 1);
    return result + (rest > half || (rest == half && (result & 1) != 0));
}

/* The code of |`value`| by rounding alone, as if exponents had no end. `value` is finite. */
static uint64_t encode_magnitude(const gml_small *type, double value)
{
    uint64_t bits = bits_of_double(value) & (UINT64_MAX >> 1);
    int exponent = (int)(bits >> 52);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent == 0)
        exponent = 1;
    else
        mantissa |= UINT64_C(1) << 52;
    int last = exponent - 1023 - 52; /* |value| is mantissa * 2^last */
    int q_min = 1 - type->bias - type->mantissa_bits;
    int q = last + 52 - type->mantissa_bits;
    if (q < q_min)
        q = q_min;
    return shift_rounded(mantissa, q - last) + ((uint64_t)(q - q_min) << type->mantissa_bits);
}

static uint16_t encode(const gml_small *type, double value, bool saturate)
{
    bool is_negative = bits_of_double(value) >> 63 != 0;
    uint16_t sign = is_negative ? sign_bit(type) : 0;
    if (is_nan(value)) {
        /* F4E2M1 has no NaN. It gets a zero with the sign turned, as ONNX's test data has it.
         */
        return type->is_fnuz ? type->nan : type->nan ^ sign;
    }
    uint64_t magnitude = is_infinite(value) ? UINT64_MAX : encode_magnitude(type, value);
    if (magnitude > type->max) {
        if (saturate || type->clamps)
            return type->max | sign;
        return type->is_fnuz ? type->nan : type->overflow | sign;
    }
    if (magnitude == 0 && type->is_fnuz)
        return 0;
    return (uint16_t)magnitude | sign;
}

float gml_small_to_float(gml_dtype dtype, uint16_t bits)
{
    if (dtype == GML_F8E8M0)
        return e8m0_to_float(bits);
    return decode(find_small(dtype), bits);
}

uint16_t gml_small_from_float(gml_dtype dtype, float value, bool saturate, gml_round round)
{
    return gml_small_from_double(dtype, (double)value, saturate, round);
}

uint16_t gml_small_from_double(gml_dtype dtype, double value, bool saturate, gml_round round)
{
    if (dtype == GML_F8E8M0)
        return e8m0_from_double(value, saturate, round);
    /* Cast's `saturate` is about 8-bit types only. */
    bool is_wide = dtype == GML_F16 || dtype == GML_BF16;
    return encode(find_small(dtype), value, saturate && !is_wide);
}

/* ---- The two 16-bit types, which are met often enough to deserve short code ---- */

float gml_f16_to_float(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    uint32_t magnitude = bits & 0x7fff;
    if (magnitude >= 0x7c00) /* infinity and NaN keep their mantissa */
        return float_of_bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    if (magnitude < 0x400) { /* subnormal: an integer times 2^-24 */
        float value = (float)magnitude * 0x1p-24f;
        return float_of_bits(sign | bits_of_float(value));
    }
    return float_of_bits(sign | ((magnitude << 13) + ((uint32_t)(127 - 15) << 23)));
}

uint16_t gml_f16_from_float(float value)
{
    uint32_t bits = bits_of_float(value);
    uint32_t sign = (bits >> 16) & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (bits >= 0x477ff000) /* 65520, halfway from the largest value to the next power of two */
        return (uint16_t)(sign | 0x7c00);
    if (bits <
        0x38800000) { /* below 2^-14: adding 0.5 leaves 2^-24 as the last bit and rounds */
        float shifted = float_of_bits(bits) + 0.5f;
        return (uint16_t)(sign | (bits_of_float(shifted) - 0x3f000000));
    }
    bits -= (uint32_t)(127 - 15) << 23;
    bits += 0xfff + ((bits >> 13) & 1);
    return (uint16_t)(sign | bits >> 13);
}

float gml_bf16_to_float(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

uint16_t gml_bf16_from_float(float value)
{
    uint32_t bits = bits_of_float(value);
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)((bits >> 16 & 0x8000) | 0x7fc0);
    return (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
