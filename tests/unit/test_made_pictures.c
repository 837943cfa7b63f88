/* tests/unit/test_made_pictures.c - shapes, digits, NumPy's order of them, JPEG. */
#define _XOPEN_SOURCE 700

#include "data/digits.h"
#include "data/jpeg.h"
#include "data/shapes.h"
#include "data_files.h"
#include "runtime/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What numpy.random.default_rng(seed).permutation(n) printed. */
static void test_numpy_order(void **state)
{
    (void)state;
    static const uint32_t ten[] = {4, 6, 2, 7, 3, 5, 9, 0, 8, 1};
    static const uint32_t first[] = {360, 1773, 1482, 600, 850};
    uint32_t order[1797];
    gml_numpy_permutation(0, 10, order);
    assert_memory_equal(order, ten, sizeof ten);
    gml_numpy_permutation(0, 1797, order);
    assert_memory_equal(order, first, sizeof first);
    gml_numpy_permutation(12345678901234u, 4, order);
    static const uint32_t four[] = {3, 1, 2, 0};
    assert_memory_equal(order, four, sizeof four);
}

static gml_status read_digits(const char *root, const char *text, gml_digits *out,
                              gml_arena *arena)
{
    gml_diags diags;
    char path[512];
    gml_diags_init(&diags, arena);
    data_write(root, "digits.csv", text, strlen(text));
    snprintf(path, sizeof path, "%s/digits.csv", root);
    return gml_digits_read(path, arena, out, &diags);
}

/* A line of 64 fields `field`, and `class`. */
static const char *make_line(gml_str *text, const char *field, const char *class)
{
    for (int i = 0; i < 64; i++)
        gml_str_printf(text, "%s,", field);
    gml_str_printf(text, "%s\n", class);
    return text->text;
}

static void test_digits(void **state)
{
    (void)state;
    const char *root = data_files_create();
    static const char *const bad[][2] = {
        {"17", "3"}, {"1", "10"}, {"", "3"}, {"-1", "3"}, {"1,", "3"}, {"100", "3"}, {"1", ""},
    };
    gml_arena arena;
    gml_digits digits = {NULL};
    gml_str text;
    gml_arena_init(&arena);
    gml_str_init(&text);
    make_line(&text, "16", "9");
    assert_int_equal(read_digits(root, make_line(&text, "0", "0"), &digits, &arena), GML_OK);
    assert_int_equal(digits.count, 2);
    assert_int_equal(digits.items[0].class, 9);
    assert_int_equal(digits.items[0].pixels[63], 16);
    assert_int_equal(digits.items[1].pixels[0], 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gml_str_reset(&text);
        gml_str_init(&text);
        make_line(&text, bad[i][0], bad[i][1]);
        assert_int_equal(read_digits(root, text.text, &digits, &arena), GML_E_INVALID);
    }
    assert_int_equal(read_digits(root, "", &digits, &arena), GML_E_INVALID);
    gml_str_reset(&text);
    gml_arena_reset(&arena);
    data_files_remove(root);
}

/* Between centres of pixels, with the border repeated: column 0 is dark, all others light. */
static void test_enlarged_digit(void **state)
{
    (void)state;
    gml_digit digit = {.class = 1};
    static const uint8_t expected[] = {0, 0, 32, 96, 159, 223, 255, 255};
    uint8_t pixels[32 * 32 * 3];
    for (int i = 0; i < 64; i++)
        digit.pixels[i] = i % 8 == 0 ? 0 : 16;
    gml_digit_draw(&digit, 32, pixels);
    for (int x = 0; x < 8; x++)
        for (int y = 0; y < 32; y++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(pixels[(y * 32 + x) * 3 + c], expected[x]);
}

/* A picture depends on its number and on the options, and the bright shape is in the middle. */
static void test_shapes(void **state)
{
    (void)state;
    enum { GML_SIZE = 48, GML_N = 200 };
    gml_shapes shapes = {.size = GML_SIZE, .seed = 1};
    unsigned seen[GML_SHAPES] = {0};
    int n_dark = 0;
    uint8_t a[GML_SIZE * GML_SIZE * 3];
    uint8_t b[GML_SIZE * GML_SIZE * 3];
    for (uint32_t i = 0; i < GML_N; i++)
        seen[gml_shapes_class(&shapes, i)]++;
    for (unsigned k = 0; k < GML_SHAPES; k++)
        assert_in_range(seen[k], GML_N / 40, GML_N / 4);
    gml_shapes_draw(&shapes, 7, a);
    gml_shapes_draw(&shapes, 7, b);
    assert_memory_equal(a, b, sizeof a);
    gml_shapes_draw(&shapes, 8, b);
    assert_memory_not_equal(a, b, sizeof a);
    shapes.part = 1;
    gml_shapes_draw(&shapes, 7, b);
    assert_memory_not_equal(a, b, sizeof a);
    for (int polarity = 0; polarity < 2; polarity++) {
        shapes.polarity = polarity != 0;
        n_dark = 0;
        for (uint32_t i = 0; i < 40; i++) {
            gml_shapes_draw(&shapes, i, a);
            int dark = 0;
            int bright = 0;
            for (size_t p = 0; p < sizeof a; p++) {
                dark += a[p] < 64;
                bright += a[p] > 192;
            }
            n_dark += dark > bright;
        }
        assert_in_range(n_dark, polarity ? 10 : 0, polarity ? 30 : 0);
    }
}

/* What is written is what the decoder gives back, but for a little. */
static void test_jpeg(void **state)
{
    (void)state;
    gml_shapes shapes = {.size = 40, .seed = 3};
    uint8_t pixels[40 * 40 * 3];
    gml_pixels view = {pixels, 40, 40, 3};
    gml_scratch scratch = {0};
    gml_str file;
    gml_str_init(&file);
    gml_shapes_draw(&shapes, 0, pixels);
    gml_status status = gml_jpeg_encode(&view, 95, &file);
    if (status == GML_E_UNSUPPORTED)
        skip();
    assert_int_equal(status, GML_OK);
    gml_image image = {
        .bytes = (const uint8_t *)file.text, .size = file.len, .scratch = &scratch};
    assert_int_equal(gml_image_decode(&image), GML_OK);
    assert_int_equal(image.width, 40);
    assert_int_equal(image.height, 40);
    double sum = 0;
    for (size_t i = 0; i < sizeof pixels; i++)
        sum += (pixels[i] - image.pixels[i]) * (pixels[i] - image.pixels[i]);
    assert_true(sum / sizeof pixels < 16);
    view.width = 70000;
    assert_int_equal(gml_jpeg_encode(&view, 95, &file), GML_E_RANGE);
    gml_scratch_reset(&scratch);
    gml_str_reset(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numpy_order),    cmocka_unit_test(test_digits),
        cmocka_unit_test(test_enlarged_digit), cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_jpeg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
