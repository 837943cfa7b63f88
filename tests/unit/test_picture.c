/* Pictures as inputs: resizing equals Pillow's (13.0.0, BILINEAR), layouts, types, what is
 * refused. */
#include "api/picture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void fill_pattern(uint8_t *pixels, int64_t height, int64_t width)
{
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++)
            pixels[y * width + x] = (uint8_t)(37 * y * y + 91 * x + 13 * x * y);
}

static void check_resize(int64_t height, int64_t width, int64_t new_height, int64_t new_width,
                         const uint8_t *expected)
{
    uint8_t pixels[64];
    gml_arena arena;
    gml_arena_init(&arena);
    fill_pattern(pixels, height, width);
    const uint8_t *out = gml_picture_resize(pixels, (const int64_t[2]){height, width}, 1,
                                            (const int64_t[2]){new_height, new_width}, &arena);
    assert_memory_equal(out, expected, (size_t)(new_height * new_width));
    gml_arena_reset(&arena);
}

static void test_resize(void **state)
{
    (void)state;
    /* smaller both ways; lower and wider, columns first; larger both ways */
    check_resize(5, 7, 4, 3,
                 (const uint8_t[]){90, 107, 120, 108, 159, 128, 113, 158, 144, 145, 171, 112});
    check_resize(12, 4, 5, 6,
                 (const uint8_t[]){50,  73,  112, 178, 149, 103, 98,  125, 145, 124,
                                   166, 214, 87,  125, 162, 157, 130, 104, 80,  93,
                                   111, 136, 111, 80,  132, 115, 93,  75,  53,  36});
    check_resize(2, 3, 4, 5, (const uint8_t[]){0,  36, 91,  146, 182, 9,  47, 104, 160, 198,
                                               28, 68, 129, 189, 229, 37, 79, 141, 203, 245});
}

/* 2 wide, 1 high: red, then grey; bottom-up 24-bit BMP. */
static const unsigned char bmp[] = {
    'B', 'M', 62, 0, 0, 0, 0,   0,  0,  0,  54, 0, 0, 0,              /* file header */
    40,  0,   0,  0, 2, 0, 0,   0,  1,  0,  0,  0, 1, 0, 24, 0, 0, 0, /* picture header */
    0,   0,   8,  0, 0, 0, 0,   0,  0,  0,  0,  0, 0, 0, 0,  0, 0, 0,
    0,   0,   0,  0, 0, 0, 255, 51, 51, 51, 0,  0};

typedef struct fixture {
    gml_arena arena;
    gml_diags diags;
    gml_tensor tensor;
} fixture;

static gml_status read_as(fixture *f, gml_dtype dtype, int rank, const gml_dim *dims,
                          const gml_picture_options *options)
{
    gml_arena_init(&f->arena);
    gml_diags_init(&f->diags, &f->arena);
    gml_type type = gml_type_tensor(&f->arena, dtype, rank, dims);
    assert_true(gml_picture_is(bmp, sizeof bmp));
    gml_picture_file file = {bmp, sizeof bmp, {.file = "p.bmp"}};
    return gml_picture_read(&file, &type, options, &f->arena, &f->tensor, &f->diags);
}

static void test_layouts(void **state)
{
    (void)state;
    fixture f;
    static const gml_picture_options plain = {.skip_normalize = true};
    assert_int_equal(read_as(&f, GML_U8, 4, (const gml_dim[]){1, 3, 1, 2}, &plain), GML_OK);
    assert_memory_equal(f.tensor.data, ((const uint8_t[]){255, 51, 0, 51, 0, 51}), 6);
    gml_arena_reset(&f.arena);
    assert_int_equal(read_as(&f, GML_U8, 3, (const gml_dim[]){2, 2, 3}, &plain), GML_OK);
    assert_memory_equal(f.tensor.data,
                        ((const uint8_t[]){255, 0, 0, 51, 51, 51, 255, 0, 0, 51, 51, 51}), 12);
    gml_arena_reset(&f.arena);
    assert_int_equal(read_as(&f, GML_F32, 4, (const gml_dim[]){1, 1, 2, 3}, &plain), GML_OK);
    const float *x = f.tensor.data; /* channels before height where both fit */
    assert_int_equal(f.tensor.dims[2], 2);
    assert_true(x[0] > 0.29f && x[0] < 0.31f);
    gml_arena_reset(&f.arena);
}

static void test_normalization(void **state)
{
    (void)state;
    fixture f;
    gml_picture_options options = {0};
    assert_int_equal(read_as(&f, GML_F32, 4, (const gml_dim[]){1, 3, 1, 2}, &options), GML_OK);
    const float *x = f.tensor.data;
    assert_true(x[0] == (1.0f - 0.485f) / 0.229f);
    assert_true(x[3] == (0.2f - 0.456f) / 0.224f);
    gml_arena_reset(&f.arena);
    options = (gml_picture_options){.n_mean = 1, .mean = {0.5}, .n_std = 3, .std = {1, 2, 4}};
    assert_int_equal(read_as(&f, GML_F32, 4, (const gml_dim[]){1, 1, 2, 3}, &options), GML_OK);
    gml_arena_reset(&f.arena);
    assert_int_equal(read_as(&f, GML_F64, 4, (const gml_dim[]){1, 3, 1, 2}, &options), GML_OK);
    assert_true(((const double *)f.tensor.data)[0] == 0.5);
    assert_true(((const double *)f.tensor.data)[4] == -0.125);
    gml_arena_reset(&f.arena);
}

static void test_refused(void **state)
{
    (void)state;
    fixture f;
    gml_picture_options options = {0};
    assert_int_equal(read_as(&f, GML_F32, 2, (const gml_dim[]){1, 3}, &options), GML_E_SHAPE);
    gml_arena_reset(&f.arena);
    assert_int_equal(read_as(&f, GML_F32, 4, (const gml_dim[]){2, 3, 8, 8}, &options),
                     GML_E_SHAPE);
    gml_arena_reset(&f.arena);
    assert_int_equal(read_as(&f, GML_I64, 4, (const gml_dim[]){1, 3, 8, 8}, &options),
                     GML_E_SHAPE);
    gml_arena_reset(&f.arena);
    assert_int_equal(
        read_as(&f, GML_F32, 4, (const gml_dim[]){1, 3, 1 << 20, 1 << 20}, &options),
        GML_E_SHAPE);
    gml_arena_reset(&f.arena);
    assert_false(gml_picture_is("BMW", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resize),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_normalization),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
