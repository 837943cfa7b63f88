/* tests/unit/test_half.c - base/half.h: every code of every type, and the corners of rounding.
 *
 * The expected codes follow the tables of ONNX's operator Cast.
 */
#include "base/half.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct format {
    gml_dtype dtype;
    unsigned n_codes;
    unsigned n_nans;
    unsigned n_infinities;
    float largest;
    float smallest; /* above zero */
} format;

static const format formats[] = {
    {GML_F16, 65536, 2046, 2, 65504.0f, 0x1p-24f},
    {GML_BF16, 65536, 254, 2, 0x1.fep127f, 0x1p-133f},
    {GML_F8E4M3FN, 256, 2, 0, 448.0f, 0x1p-9f},
    {GML_F8E4M3FNUZ, 256, 1, 0, 240.0f, 0x1p-10f},
    {GML_F8E5M2, 256, 6, 2, 57344.0f, 0x1p-16f},
    {GML_F8E5M2FNUZ, 256, 1, 0, 57344.0f, 0x1p-17f},
    {GML_F8E8M0, 256, 1, 0, 0x1p127f, 0x1p-127f},
    {GML_F4E2M1, 16, 0, 0, 6.0f, 0.5f},
};

#define GML_N_FORMATS (sizeof(formats) / sizeof(formats[0]))

static uint16_t round_to(gml_dtype dtype, double value)
{
    return gml_small_from_double(dtype, value, false, GML_ROUND_NEAREST);
}

static void every_code_survives_a_round_trip(void **state)
{
    (void)state;
    for (size_t f = 0; f < GML_N_FORMATS; f++) {
        gml_dtype dtype = formats[f].dtype;
        unsigned n_nans = 0;
        unsigned n_infinities = 0;
        float largest = 0;
        float smallest = INFINITY;
        for (unsigned code = 0; code < formats[f].n_codes; code++) {
            float value = gml_small_to_float(dtype, (uint16_t)code);
            uint16_t back = gml_small_from_float(dtype, value, false, GML_ROUND_NEAREST);
            n_nans += isnan(value) != 0;
            n_infinities += isinf(value) != 0;
            if (isnan(value)) {
                assert_true(isnan(gml_small_to_float(dtype, back)));
                continue;
            }
            assert_int_equal(back, code);
            if (isinf(value))
                continue;
            assert_int_equal(gml_small_from_float(dtype, value, true, GML_ROUND_UP), code);
            largest = fmaxf(largest, value);
            smallest = value > 0 ? fminf(smallest, value) : smallest;
        }
        assert_int_equal(n_nans, formats[f].n_nans);
        assert_int_equal(n_infinities, formats[f].n_infinities);
        assert_true(largest == formats[f].largest);
        assert_true(smallest == formats[f].smallest);
    }
}

/* Between each two neighbours: the middle goes to the even code, whatever is nearer to one goes
 * there, as a float and as a double that no float can tell from the middle. */
static void halves_go_to_even_and_others_to_the_nearer(void **state)
{
    (void)state;
    for (size_t f = 0; f < GML_N_FORMATS; f++) {
        gml_dtype dtype = formats[f].dtype;
        if (dtype == GML_F8E8M0)
            continue;
        for (uint16_t code = 0;; code++) {
            double low = (double)gml_small_to_float(dtype, code);
            double high = (double)gml_small_to_float(dtype, (uint16_t)(code + 1));
            if (!isfinite(high) || high <= low)
                break;
            double middle = (low + high) / 2;
            uint16_t even = (uint16_t)(code + (code & 1));
            unsigned sign = formats[f].n_codes / 2;
            assert_int_equal(round_to(dtype, middle), even);
            assert_int_equal(round_to(dtype, nextafter(middle, 0)), code);
            assert_int_equal(round_to(dtype, nextafter(middle, INFINITY)), code + 1);
            assert_int_equal(round_to(dtype, nextafter(-middle, -INFINITY)), sign + code + 1);
        }
    }
}

typedef struct special {
    gml_dtype dtype;
    float value;
    uint16_t saturated;
    uint16_t plain;
} special;

static const special specials[] = {
    {GML_F16, INFINITY, 0x7c00, 0x7c00},
    {GML_F16, 65519.996f, 0x7bff, 0x7bff},
    {GML_F16, 65520.0f, 0x7c00, 0x7c00}, /* Cast's `saturate` is not for it */
    {GML_F16, -1e30f, 0xfc00, 0xfc00},
    {GML_F16, NAN, 0x7e00, 0x7e00},
    {GML_F16, -0.0f, 0x8000, 0x8000},
    {GML_F16, 0x1p-25f, 0x0000, 0x0000},
    {GML_F16, 0x1.000002p-25f, 0x0001, 0x0001},
    {GML_BF16, 3.4e38f, 0x7f80, 0x7f80},
    {GML_BF16, -INFINITY, 0xff80, 0xff80},
    {GML_F8E4M3FN, 464.0f, 0x7e, 0x7e}, /* halfway to what would be 480: even is 448 */
    {GML_F8E4M3FN, 464.1f, 0x7e, 0x7f},
    {GML_F8E4M3FN, -1e6f, 0xfe, 0xff},
    {GML_F8E4M3FN, INFINITY, 0x7e, 0x7f},
    {GML_F8E4M3FN, -INFINITY, 0xfe, 0xff},
    {GML_F8E4M3FN, NAN, 0x7f, 0x7f},
    {GML_F8E4M3FN, -0.0f, 0x80, 0x80},
    {GML_F8E4M3FNUZ, 247.9f, 0x7f, 0x7f},
    {GML_F8E4M3FNUZ, 248.0f, 0x7f, 0x80},
    {GML_F8E4M3FNUZ, -INFINITY, 0xff, 0x80},
    {GML_F8E4M3FNUZ, NAN, 0x80, 0x80},
    {GML_F8E4M3FNUZ, -0.0f, 0x00, 0x00},
    {GML_F8E4M3FNUZ, -1e-7f, 0x00, 0x00},
    {GML_F8E5M2, 61439.0f, 0x7b, 0x7b},
    {GML_F8E5M2, 61440.0f, 0x7b, 0x7c},
    {GML_F8E5M2, -INFINITY, 0xfb, 0xfc},
    {GML_F8E5M2, NAN, 0x7e, 0x7e},
    {GML_F8E5M2FNUZ, 61440.0f, 0x7f, 0x80},
    {GML_F8E5M2FNUZ, -INFINITY, 0xff, 0x80},
    {GML_F8E5M2FNUZ, -0.0f, 0x00, 0x00},
    {GML_F4E2M1, 5.0f, 0x6, 0x6}, /* halfway from 4 to 6 */
    {GML_F4E2M1, 1e6f, 0x7, 0x7},
    {GML_F4E2M1, -INFINITY, 0xf, 0xf},
    {GML_F4E2M1, NAN, 0x8, 0x8},
    {GML_F4E2M1, -0.0f, 0x8, 0x8},
    {GML_F8E8M0, 0.0f, 0x00, 0xff},
    {GML_F8E8M0, INFINITY, 0xfe, 0xff},
    {GML_F8E8M0, NAN, 0xff, 0xff},
    {GML_F8E8M0, -1.0f, 0xff, 0xff},
    {GML_F8E8M0, 0x1p-130f, 0x00, 0xff},
    {GML_F8E8M0, 0x1.7fffp127f, 0xfe, 0xfe},
    {GML_F8E8M0, 0x1.8p127f, 0xfe, 0xff},
};

static void special_values_follow_the_table_of_cast(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
        const special *row = &specials[i];
        assert_int_equal(gml_small_from_float(row->dtype, row->value, true, GML_ROUND_NEAREST),
                         row->saturated);
        assert_int_equal(gml_small_from_float(row->dtype, row->value, false, GML_ROUND_NEAREST),
                         row->plain);
    }
}

typedef struct power {
    float value;
    uint16_t nearest, up, down;
} power;

static void e8m0_rounds_three_ways(void **state)
{
    (void)state;
    static const power rows[] = {
        {1.0f, 127, 127, 127},  {1.1f, 127, 128, 127},       {1.5f, 128, 128, 127},
        {1.99f, 128, 128, 127}, {0.124f, 124, 124, 123},     {0x1p-127f, 0, 0, 0},
        {0x1p-126f, 1, 1, 1},   {0x1.000002p-126f, 1, 2, 1}, {0x1.8p-127f, 1, 1, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const power *row = &rows[i];
        gml_dtype e8m0 = GML_F8E8M0;
        assert_int_equal(gml_small_from_float(e8m0, row->value, true, GML_ROUND_NEAREST),
                         row->nearest);
        assert_int_equal(gml_small_from_float(e8m0, row->value, true, GML_ROUND_UP), row->up);
        assert_int_equal(gml_small_from_float(e8m0, row->value, true, GML_ROUND_DOWN),
                         row->down);
    }
}

static void doubles_are_rounded_once(void **state)
{
    (void)state;
    /* As a float this is the tie 1 + 2^-11, which would go down to 1. */
    assert_int_equal(round_to(GML_F16, 1 + 0x1p-11 + 0x1p-40), 0x3c01);
    assert_int_equal(round_to(GML_F16, 1 + 0x1p-11), 0x3c00);
    assert_int_equal(round_to(GML_BF16, 1 + 0x1p-8 + 0x1p-50), 0x3f81);
    assert_int_equal(round_to(GML_F8E4M3FN, 1 + 0x1p-4 + 0x1p-52), 0x39);
    assert_int_equal(round_to(GML_F16, 0x1p-1074), 0);
    assert_int_equal(round_to(GML_F16, -0x1p1023), 0xfc00);
    assert_int_equal(gml_small_from_double(GML_F8E8M0, 1 + 0x1p-52, true, GML_ROUND_UP), 128);
}

static void short_code_for_16_bits_agrees_with_the_table(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 65536; code++) {
        float half = gml_f16_to_float((uint16_t)code);
        float brain = gml_bf16_to_float((uint16_t)code);
        float half_by_table = gml_small_to_float(GML_F16, (uint16_t)code);
        float brain_by_table = gml_small_to_float(GML_BF16, (uint16_t)code);
        assert_true(half == half_by_table || (isnan(half) && isnan(half_by_table)));
        assert_true(brain == brain_by_table || (isnan(brain) && isnan(brain_by_table)));
        /* Floats on both sides of the value and of the middle to the next one. */
        float next = gml_f16_to_float((uint16_t)(code ^ 1));
        float tries[] = {half,
                         nextafterf(half, INFINITY),
                         nextafterf(half, -INFINITY),
                         half / 2 + next / 2,
                         brain,
                         nextafterf(brain, INFINITY),
                         brain * 1.00390625f};
        for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
            float value = tries[i];
            assert_int_equal(gml_f16_from_float(value), round_to(GML_F16, (double)value));
            assert_int_equal(gml_bf16_from_float(value), round_to(GML_BF16, (double)value));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_survives_a_round_trip),
        cmocka_unit_test(halves_go_to_even_and_others_to_the_nearer),
        cmocka_unit_test(special_values_follow_the_table_of_cast),
        cmocka_unit_test(e8m0_rounds_three_ways),
        cmocka_unit_test(doubles_are_rounded_once),
        cmocka_unit_test(short_code_for_16_bits_agrees_with_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
