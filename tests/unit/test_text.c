/* tests/unit/test_text.c - ir/text.h: exactness of numbers, and texts that nobody would write.
 * The forms themselves are in tests/golden/ir. */
#include "ir/element.h"
#include "ir/text.h"
#include "ir/verify.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const whole = "graph @f(%c: bool[], %x: f32[n,(n * 2 + 1)]) {\n"
                                 "  %z = Constant {value = [0.5]} : f32[]\n"
                                 "  %s = gemel.SizeVector : i64[2] = {n, 7}\n"
                                 "  %y = If(%c) {\n"
                                 "    then_branch = graph @t() {\n"
                                 "      %0 = Add(%z, %x) : f32[n,(n * 2 + 1)]\n"
                                 "      return %0 as \"r 1\"\n"
                                 "    },\n"
                                 "    else_branch = graph @e() {\n"
                                 "      return %x\n"
                                 "    }\n"
                                 "  } : f32[n,(n * 2 + 1)]\n"
                                 "  %a, _ = Split(%y) {axis = 1, num_outputs = 2}\n"
                                 "  return %y, %a\n"
                                 "}\n";

/* Parses; the module is destroyed. */
static gml_status try_text(const char *text, size_t len, gml_str *out_diags)
{
    gml_arena arena;
    gml_diags diags;
    gml_module *module;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    gml_status status = gml_text_parse(text, len, "t.gir", &diags, &module);
    assert_true((status == GML_OK) == (module != NULL));
    assert_true((status == GML_OK) == (diags.list.count == 0));
    if (module != NULL)
        gml_module_verify(module, &diags);
    gml_module_destroy(module);
    gml_str_puts(out_diags, gml_diags_print(&diags)); /* outlives the module */
    gml_arena_reset(&arena);
    return status;
}

static void expect_text_fault(const char *text, size_t len, const char *expected)
{
    gml_str found;
    gml_str_init(&found);
    assert_true(try_text(text, len, &found) != GML_OK);
    assert_non_null(strstr(found.text, expected));
    gml_str_reset(&found);
}

/* Every prefix, and every text with one byte changed, is read or refused, and nothing else. */
static void damaged_texts_are_refused(void **state)
{
    (void)state;
    size_t len = strlen(whole);
    gml_str found;
    gml_str_init(&found);
    assert_int_equal(try_text(whole, len, &found), GML_OK);
    char *copy = malloc(len); /* not terminated: reading beyond it shows */
    assert_non_null(copy);
    memcpy(copy, whole, len);
    for (size_t i = 0; i + 2 < len; i++)
        assert_true(try_text(copy + len - i, i, &found) != GML_OK || i == 0);
    static const char bytes[] = "%_\"({[]}),:=#@?*-9 \n\x01\xff";
    for (size_t i = 0; i < len; i++) {
        char before = copy[i];
        copy[i] = bytes[i % (sizeof(bytes) - 1)];
        (void)try_text(copy, len, &found);
        copy[i] = '\0';
        (void)try_text(copy, len, &found);
        copy[i] = before;
        (void)try_text(copy, i, &found);
    }
    free(copy);
    gml_str_reset(&found);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    gml_str text;
    gml_str_init(&text);
    gml_str_puts(&text, "graph(%c: bool[]) {\n");
    for (int i = 0; i < 5000; i++)
        gml_str_puts(&text, "%y = If(%c) {then_branch = graph() {");
    expect_text_fault(text.text, text.len, "t.gir:2: regions are nested more than 64 deep");
    gml_str_reset(&text);
    gml_str_puts(&text, "graph(%x: ");
    for (int i = 0; i < 5000; i++)
        gml_str_puts(&text, "seq(");
    expect_text_fault(text.text, text.len, "t.gir:1: expected a type, found 'seq'");
    gml_str_reset(&text);
    gml_str_puts(&text, "graph(%x: f32[");
    for (int i = 0; i < 5000; i++)
        gml_str_puts(&text, "(");
    expect_text_fault(text.text, text.len, "t.gir:1: expected a type");
    gml_str_reset(&text);
}

static void bytes_of_zero_are_refused(void **state)
{
    (void)state;
    expect_text_fault("graph() {\nreturn\n}\n\0\n", 22, "the text holds a NUL byte");
    expect_text_fault("\0", 1, "expected 'graph', found the end of the text");
    expect_text_fault("graph @\"a\\x00b\"() {return}", 26, "a name holds a NUL byte");
}

/* A new symbol of inference is not taken for one that the text names later. */
static void symbols_of_the_text_stay_apart(void **state)
{
    (void)state;
    static const char text[] = "graph @f(%x: f32[?], %y: f32[d.0], %z: f32[d.7]) {\n"
                               "  return %x, %y, %z\n"
                               "}\n";
    gml_arena arena;
    gml_diags diags;
    gml_module *module;
    gml_arena_init(&arena);
    gml_diags_init(&diags, &arena);
    assert_int_equal(gml_text_parse(text, strlen(text), NULL, &diags, &module), GML_OK);
    gml_str str;
    gml_str_init(&str);
    gml_type_print(&module->dims, &module->main->params[0]->type, &str);
    assert_string_equal(str.text, "f32[d.8]");
    gml_str_reset(&str);
    gml_module_destroy(module);
    gml_arena_reset(&arena);
}

/* Reads back what is printed of `bits`, and compares. */
static void check_bits(gml_arena *arena, gml_dtype dtype, uint64_t bits, gml_str *str)
{
    uint64_t again = 0;
    size_t size = gml_dtype_size(dtype);
    gml_str_reset(str);
    gml_element_print(dtype, &bits, str); /* the low bytes come first on every target */
    const char *at = str->text;
    const char *problem = gml_element_parse(arena, dtype, &at, &again);
    if (problem != NULL || *at != '\0' || memcmp(&bits, &again, size) != 0)
        fail_msg("%s %llx is printed as %s: %s", gml_dtype_name(dtype),
                 (unsigned long long)bits, str->text,
                 problem != NULL ? problem : "it reads back differently");
}

static void numbers_read_back_to_the_bit(void **state)
{
    (void)state;
    static const gml_dtype small[] = {GML_F16,    GML_BF16,       GML_F8E4M3FN, GML_F8E4M3FNUZ,
                                      GML_F8E5M2, GML_F8E5M2FNUZ, GML_F8E8M0,   GML_I8,
                                      GML_U8,     GML_I16,        GML_U16};
    static const gml_dtype large[] = {GML_F32, GML_F64, GML_I32, GML_U32, GML_I64, GML_U64};
    gml_arena arena;
    gml_str str;
    gml_arena_init(&arena);
    gml_str_init(&str);
    for (size_t i = 0; i < sizeof(small) / sizeof(small[0]); i++) {
        for (uint64_t bits = 0; bits < UINT64_C(1) << (8 * gml_dtype_size(small[i])); bits++)
            check_bits(&arena, small[i], bits, &str);
    }
    for (uint64_t bits = 0; bits < 16; bits++)
        check_bits(&arena, GML_F4E2M1, bits, &str);
    uint64_t random = 1;
    for (int round = 0; round < 20000; round++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
            check_bits(&arena, large[i], random ^ (random >> 29), &str);
    }
    gml_str_reset(&str);
    gml_arena_reset(&arena);
}

static void attributes_tell_floats_from_integers(void **state)
{
    (void)state;
    static const float values[] = {0.0f, -0.0f, 1.0f, 100000.0f, 1e10f, 0.1f, 1e-45f, 3.4e38f};
    static const char *const texts[] = {"0.0",   "-0.0", "1.0",   "1e+05",
                                        "1e+10", "0.1",  "1e-45", "3.4e+38"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        gml_str str;
        gml_str_init(&str);
        gml_float_print(values[i], &str);
        assert_string_equal(str.text, texts[i]);
        gml_str_reset(&str);
    }
}

/* A program that set a locale with a decimal comma reads and prints the same. */
static void the_locale_does_not_matter(void **state)
{
    (void)state;
    gml_str found;
    gml_str_init(&found);
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8") == NULL)
        skip();
    assert_int_equal(try_text(whole, strlen(whole), &found), GML_OK);
    setlocale(LC_NUMERIC, "C");
    gml_str_reset(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_texts_are_refused),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(bytes_of_zero_are_refused),
        cmocka_unit_test(symbols_of_the_text_stay_apart),
        cmocka_unit_test(numbers_read_back_to_the_bit),
        cmocka_unit_test(attributes_tell_floats_from_integers),
        cmocka_unit_test(the_locale_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
