/* tests/unit/test_sha256.c - base/sha256.h: FIPS 180-4's examples, and bytes in pieces. */
#include "base/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* `count` times `text`, as hexadecimal digits. */
static const char *sum_of(const char *text, size_t count)
{
    static char digits[2 * GML_SHA256_SIZE + 1];
    unsigned char digest[GML_SHA256_SIZE];
    gml_sha256 sum;
    gml_sha256_init(&sum);
    for (size_t i = 0; i < count; i++)
        gml_sha256_add(&sum, text, strlen(text));
    gml_sha256_end(&sum, digest);
    for (size_t i = 0; i < GML_SHA256_SIZE; i++)
        snprintf(digits + 2 * i, 3, "%02x", digest[i]);
    return digits;
}

static void the_standard_s_examples(void **state)
{
    (void)state;
    assert_string_equal(sum_of("", 1),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(sum_of("abc", 1),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(sum_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1),
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_string_equal(sum_of("a", 1000000),
                        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* The padding is another for every length modulo a block. */
static void pieces_do_not_matter(void **state)
{
    enum { MOST = 200 };
    char bytes[MOST];
    (void)state;
    for (size_t i = 0; i < MOST; i++)
        bytes[i] = (char)(i * 7 + 1);
    for (size_t len = 0; len <= MOST; len++) {
        unsigned char whole[GML_SHA256_SIZE];
        gml_sha256 sum;
        gml_sha256_init(&sum);
        gml_sha256_add(&sum, bytes, len);
        gml_sha256_end(&sum, whole);
        for (size_t cut = 0; cut <= len; cut++) {
            unsigned char parts[GML_SHA256_SIZE];
            gml_sha256_init(&sum);
            gml_sha256_add(&sum, bytes, cut);
            gml_sha256_add(&sum, bytes + cut, len - cut);
            gml_sha256_end(&sum, parts);
            assert_memory_equal(parts, whole, sizeof whole);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_standard_s_examples),
        cmocka_unit_test(pieces_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
