/* tests/unit/test_host_image.c - small pictures of the formats decoded here, and damaged ones
 * of all. */
#include "host_call.h"

static gml_status decode(host_test *t, const void *bytes, size_t size, const char *pixel_format)
{
    host_begin(t, 1);
    host_input(t, GML_U8, 1, (int64_t[]){(int64_t)size}, bytes);
    host_set_string(t, "pixel_format", pixel_format);
    return host_run(t, gml_host_imagedecoder);
}

static void text_and_binary_pixmaps(void **state)
{
    (void)state;
    host_test t;
    const char text[] = "P3 # a comment\n2 1\n10\n10 0 5  0 10 1\n";
    assert_int_equal(decode(&t, text, sizeof text - 1, "RGB"), GML_OK);
    assert_shape(&t, 0, 3, (int64_t[]){1, 2, 3});
    assert_ints(&t, 0, 6, (int64_t[]){255, 0, 128, 0, 255, 26});
    host_fails_cleanly(&t, gml_host_imagedecoder);
    host_end(&t);
    const char binary[] = "P6 1 2 255\n\x01\x02\x03\xff\x80\x10";
    assert_int_equal(decode(&t, binary, sizeof binary - 1, "BGR"), GML_OK);
    assert_ints(&t, 0, 6, (int64_t[]){3, 2, 1, 16, 128, 255});
    host_end(&t);
    const char bits[] = "P4 3 2\n\xa0\x40";
    assert_int_equal(decode(&t, bits, sizeof bits - 1, "Grayscale"), GML_OK);
    assert_ints(&t, 0, 6, (int64_t[]){0, 255, 0, 255, 0, 255});
    host_end(&t);
}

/* Two by two, 24 bits, rows from the bottom and filled up to four bytes. */
static const uint8_t bitmap[] = {
    'B', 'M', 70, 0, 0, 0, 0, 0, 0, 0, 54, 0,  0,  0,                     /* file */
    40,  0,   0,  0, 2, 0, 0, 0, 2, 0, 0,  0,  1,  0,  24, 0, 0, 0, 0, 0, /* header */
    16,  0,   0,  0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0, 0, 0, 0, 0, /* */
    1,   2,   3,  4, 5, 6, 0, 0, 7, 8, 9,  10, 11, 12, 0,  0,             /* pixels */
};

static void bitmaps_are_upside_down(void **state)
{
    (void)state;
    host_test t;
    assert_int_equal(decode(&t, bitmap, sizeof bitmap, "RGB"), GML_OK);
    assert_ints(&t, 0, 12, (int64_t[]){9, 8, 7, 12, 11, 10, 3, 2, 1, 6, 5, 4});
    host_end(&t);
    uint8_t changed[sizeof bitmap];
    memcpy(changed, bitmap, sizeof bitmap);
    memset(changed + 22, 0xff, 4); /* height -2: rows from the top */
    changed[22] = 0xfe;
    assert_int_equal(decode(&t, changed, sizeof changed, "RGB"), GML_OK);
    assert_ints(&t, 0, 12, (int64_t[]){3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10});
    host_end(&t);
}

/* Every truncation, and every byte of the header set to 255: a diagnosis or a picture. */
static void damaged_bitmaps_are_harmless(void **state)
{
    (void)state;
    host_test t;
    for (size_t size = 0; size < sizeof bitmap; size++) {
        assert_int_not_equal(decode(&t, bitmap, size, "RGB"), GML_OK);
        host_end(&t);
    }
    for (size_t i = 2; i < 54; i++) {
        uint8_t changed[sizeof bitmap];
        memcpy(changed, bitmap, sizeof bitmap);
        changed[i] = 0xff;
        (void)!decode(&t, changed, sizeof changed, "RGB");
        host_end(&t);
    }
}

static void hostile_sizes_take_no_memory(void **state)
{
    (void)state;
    static const char *const files[] = {
        "P6 999999999 999999999 255\n",
        "P5 99999 1 255\n",
        "P2 2 2 0 1 1 1 1",
        "P3 -1 5 255 1",
        "P5 1 1 99999\n",
        "P1 2 2 0 1 2 0",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        host_test t;
        assert_int_equal(decode(&t, files[i], strlen(files[i]), "RGB"), GML_E_INVALID);
        host_end(&t);
    }
}

static void files_that_end_after_their_first_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } files[] = {
        {"\xff\xd8\xff\xe0", 4},        {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16},
        {"RIFF\x10\0\0\0WEBPVP8 ", 16}, {"II*\0\x08\0\0\0", 8},
        {"MM\0*\xff\xff\xff\xff", 8},   {"\0\0\0\x0cjP  \r\n\x87\n", 12},
        {"\xff\x4f\xff\x51\0\x29", 6},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        host_test t;
        gml_status status = decode(&t, files[i].bytes, files[i].size, "RGB");
        assert_true(status == GML_E_INVALID || status == GML_E_UNSUPPORTED);
        host_end(&t);
    }
    host_test t;
    assert_int_equal(decode(&t, "GIF89a", 6, "RGB"), GML_E_UNSUPPORTED);
    host_end(&t);
    assert_int_equal(decode(&t, "P6", 2, "HSV"), GML_E_INVALID);
    host_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_and_binary_pixmaps),
        cmocka_unit_test(bitmaps_are_upside_down),
        cmocka_unit_test(damaged_bitmaps_are_harmless),
        cmocka_unit_test(hostile_sizes_take_no_memory),
        cmocka_unit_test(files_that_end_after_their_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
