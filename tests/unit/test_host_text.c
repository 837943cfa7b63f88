/* tests/unit/test_host_text.c - numbers as text and back, splitting, matching, counting
 * n-grams. */
#include "host_call.h"

#include <math.h>

/* Cast of one float to text. */
static void assert_printed(gml_dtype dtype, double value, const char *expected)
{
    host_test t;
    uint64_t room = 0;
    host_begin(&t, 1);
    gml_host_put(&host_input(&t, dtype, 0, NULL, &room)->tensor, 0, value);
    host_set_int(&t, "to", GML_STRING);
    assert_int_equal(host_run(&t, gml_host_cast_string), GML_OK);
    assert_texts(&t, 0, 1, &expected);
    host_end(&t);
}

static void floats_are_printed_shortest(void **state)
{
    (void)state;
    assert_printed(GML_F32, 0, "0.0");
    assert_printed(GML_F32, -0.0, "-0.0");
    assert_printed(GML_F32, 1, "1.0");
    assert_printed(GML_F32, 0.1, "0.1");
    assert_printed(GML_F64, 0.1, "0.1");
    assert_printed(GML_F64, 0.1 + 0.2, "0.30000000000000004");
    assert_printed(GML_F32, 3.14159274101257324, "3.1415927");
    assert_printed(GML_F32, 1e-4, "0.0001");
    assert_printed(GML_F32, 1e-5, "1e-05");
    assert_printed(GML_F32, 123456789, "123456790.0");
    assert_printed(GML_F64, 1e15, "1000000000000000.0");
    assert_printed(GML_F64, 1e16, "1e+16");
    assert_printed(GML_F64, 1.7976931348623157e308, "1.7976931348623157e+308");
    assert_printed(GML_F64, 5e-324, "5e-324");
    assert_printed(GML_F16, 65504, "65500.0");
    assert_printed(GML_BF16, 1.0078125, "1.01");
    assert_printed(GML_F32, INFINITY, "inf");
    assert_printed(GML_F32, -INFINITY, "-inf");
    assert_printed(GML_F32, NAN, "nan");
    assert_printed(GML_I8, -128, "-128");
    assert_printed(GML_U64, 0x1.8p63, "13835058055282163712");
    assert_printed(GML_BOOL, 1, "True");
}

/* The status of a cast of `text`; the value when it is well. */
static gml_status parse(const char *text, gml_dtype dtype, double *out_value)
{
    host_test t;
    host_begin(&t, 1);
    host_strings(&t, 0, NULL, &text);
    host_set_int(&t, "to", dtype);
    gml_status status = host_run(&t, gml_host_cast_string);
    if (status == GML_OK)
        *out_value = gml_host_get_float(&t.outputs[0].tensor, 0);
    host_end(&t);
    return status;
}

static void assert_parsed(const char *text, gml_dtype dtype, double expected)
{
    double value = 0;
    assert_int_equal(parse(text, dtype, &value), GML_OK);
    assert_true(value == expected || (isnan(value) && isnan(expected)));
}

static void assert_not_parsed(const char *text, gml_dtype dtype, gml_status expected)
{
    double value = 0;
    assert_int_equal(parse(text, dtype, &value), expected);
}

static void text_becomes_numbers(void **state)
{
    (void)state;
    assert_parsed("1e-5", GML_F64, 1e-5);
    assert_parsed(" +2.5\n", GML_F32, 2.5);
    assert_parsed("-INF", GML_F32, -INFINITY);
    assert_parsed("Infinity", GML_F16, INFINITY);
    assert_parsed("NaN", GML_F64, NAN);
    assert_parsed("1e999", GML_F64, INFINITY);
    assert_parsed("-128", GML_I8, -128);
    assert_parsed("-3.9", GML_I32, -3);
    assert_parsed("18446744073709551615", GML_U64, 0x1p64);
    assert_parsed("7", GML_I4, 7);
    assert_parsed("True", GML_BOOL, 1);
    assert_parsed("0", GML_BOOL, 0);
    assert_parsed("1000", GML_F8E4M3FN, 448);
}

static void other_text_is_refused(void **state)
{
    (void)state;
    const char *const words[] = {"",   " ", "-",     "1x",  "0x10", "1e",
                                 "e5", ".", "1.2.3", "--1", "n an"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_not_parsed(words[i], GML_F32, GML_E_INVALID);
    assert_not_parsed("128", GML_I8, GML_E_RANGE);
    assert_not_parsed("-1", GML_U32, GML_E_RANGE);
    assert_not_parsed("8", GML_I4, GML_E_RANGE);
    assert_not_parsed("9223372036854775808", GML_I64, GML_E_RANGE);
    assert_not_parsed("99999999999999999999999", GML_U64, GML_E_RANGE);
    assert_not_parsed("inf", GML_I32, GML_E_RANGE);
}

static void casting_fails_cleanly(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_input(&t, GML_F32, 1, (int64_t[]){2}, (float[]){1, 2});
    host_set_int(&t, "to", GML_STRING);
    host_fails_cleanly(&t, gml_host_cast_string);
    t.attrs[0].as.i = 99;
    assert_int_equal(host_run(&t, gml_host_cast_string), GML_E_TYPE);
    t.attrs[0].as.i = GML_I32;
    assert_int_equal(host_run(&t, gml_host_cast_string), GML_E_TYPE);
    host_end(&t);
}

static void splitting_is_pythons(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 2);
    host_strings(&t, 1, (int64_t[]){3},
                 (const char *const[]){"  a  b\t", "",
                                       "c\xe3\x80\x80"
                                       "d e"});
    assert_int_equal(host_run(&t, gml_host_stringsplit), GML_OK);
    assert_shape(&t, 0, 2, (int64_t[]){3, 3});
    assert_texts(&t, 0, 9, (const char *const[]){"a", "b", "", "", "", "", "c", "d", "e"});
    assert_ints(&t, 1, 3, (int64_t[]){2, 0, 3});
    host_set_int(&t, "maxsplit", 1);
    assert_int_equal(host_run(&t, gml_host_stringsplit), GML_OK);
    assert_texts(&t, 0, 6, (const char *const[]){"a", "b\t", "", "", "c", "d e"});
    host_fails_cleanly(&t, gml_host_stringsplit);
    host_end(&t);
    host_begin(&t, 2);
    host_strings(&t, 1, (int64_t[]){2}, (const char *const[]){"a--b-", ""});
    host_set_string(&t, "delimiter", "--");
    assert_int_equal(host_run(&t, gml_host_stringsplit), GML_OK);
    assert_texts(&t, 0, 4, (const char *const[]){"a", "b-", "", ""});
    assert_ints(&t, 1, 2, (int64_t[]){2, 1});
    host_end(&t);
}

static void splitting_nothing(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 2);
    host_strings(&t, 2, (int64_t[]){0, 2}, NULL);
    assert_int_equal(host_run(&t, gml_host_stringsplit), GML_OK);
    assert_shape(&t, 0, 3, (int64_t[]){0, 2, 0});
    host_end(&t);
}

static void strings_broadcast(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_strings(&t, 2, (int64_t[]){2, 1}, (const char *const[]){"a", ""});
    host_strings(&t, 1, (int64_t[]){2}, (const char *const[]){"", "b"});
    assert_int_equal(host_run(&t, gml_host_stringconcat), GML_OK);
    assert_texts(&t, 0, 4, (const char *const[]){"a", "ab", "", "b"});
    host_fails_cleanly(&t, gml_host_stringconcat);
    assert_int_equal(host_run(&t, gml_host_stringequal), GML_OK);
    assert_ints(&t, 0, 4, (int64_t[]){0, 0, 1, 0});
    t.inputs[0].tensor.rank = 1;
    t.inputs[1].tensor.dims[0] = 3;
    assert_int_equal(host_run(&t, gml_host_stringconcat), GML_E_SHAPE);
    host_end(&t);
}

static void stop_words_go(void **state)
{
    (void)state;
    host_test t;
    const gml_string stop[] = {{"MONTAG", 6}, {"\xc3\x84pfel", 6}};
    host_begin(&t, 1);
    host_strings(&t, 1, (int64_t[]){3},
                 (const char *const[]){"montag", "\xc3\xa4pfel",
                                       "\xc3\xb6"
                                       "l"});
    host_set_strings(&t, "stopwords", 2, stop);
    host_set_string(&t, "case_change_action", "UPPER");
    assert_int_equal(host_run(&t, gml_host_stringnormalizer), GML_OK);
    assert_texts(&t, 0, 1, (const char *const[]){"\xc3\x96L"});
    host_fails_cleanly(&t, gml_host_stringnormalizer);
    t.inputs[0].tensor.dims[0] = 2;
    assert_int_equal(host_run(&t, gml_host_stringnormalizer), GML_OK);
    assert_texts(&t, 0, 1, (const char *const[]){""});
    host_end(&t);
}

static void a_pattern_matches_whole_strings(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    host_strings(&t, 1, (int64_t[]){4}, (const char *const[]){"ab", "abab", "ab\n", "\xff"});
    host_set_string(&t, "pattern", "(?P<x>a|ab)+?b?$");
    assert_int_equal(host_run(&t, gml_host_regexfullmatch), GML_OK);
    assert_ints(&t, 0, 4, (int64_t[]){1, 1, 0, 0});
    t.attrs[0].as.s = (gml_string){"(a", 2};
    assert_int_equal(host_run(&t, gml_host_regexfullmatch), GML_E_INVALID);
    host_end(&t);
}

static void a_hostile_pattern_ends(void **state)
{
    (void)state;
    host_test t;
    host_begin(&t, 1);
    const char *const text = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaX";
    host_strings(&t, 0, NULL, &text);
    host_set_string(&t, "pattern", "(a|aa|a?)+(a*)*b");
    assert_int_not_equal(host_run(&t, gml_host_regexfullmatch), GML_E_MEMORY);
    host_end(&t);
}

static void begin_grams(host_test *t, const int64_t *starts, const int64_t *columns)
{
    static const int64_t pool[] = {1, 2, 1, 2, 2, 3};
    host_begin(t, 1);
    host_input(t, GML_I64, 1, (int64_t[]){6}, (int64_t[]){1, 2, 3, 2, 1, 2});
    host_set_string(t, "mode", "TF");
    host_set_int(t, "min_gram_length", 1);
    host_set_int(t, "max_gram_length", 2);
    host_set_int(t, "max_skip_count", 1);
    host_set_ints(t, "ngram_counts", 2, starts);
    host_set_ints(t, "ngram_indexes", 4, columns);
    host_set_ints(t, "pool_int64s", 6, pool);
}

static void grams_are_counted_with_skips(void **state)
{
    (void)state;
    host_test t;
    begin_grams(&t, (int64_t[]){0, 2}, (int64_t[]){0, 1, 3, 2});
    assert_int_equal(host_run(&t, gml_host_tfidfvectorizer), GML_OK);
    /* 1 twice; 2 thrice; (2, 3) at 1; (1, 2) at 0 and 4 */
    assert_ints(&t, 0, 4, (int64_t[]){2, 3, 1, 2});
    host_fails_cleanly(&t, gml_host_tfidfvectorizer);
    host_end(&t);
}

static void wrong_pools_are_refused(void **state)
{
    (void)state;
    host_test t;
    const int64_t starts[][2] = {{0, 7}, {-1, 2}, {3, 2}, {0, 6}};
    for (int i = 0; i < 4; i++) {
        begin_grams(&t, starts[i], (int64_t[]){0, 1, 2, 3});
        assert_int_equal(host_run(&t, gml_host_tfidfvectorizer), GML_E_INVALID);
        host_end(&t);
    }
    begin_grams(&t, (int64_t[]){0, 2}, (int64_t[]){0, -1, 2, 3});
    assert_int_equal(host_run(&t, gml_host_tfidfvectorizer), GML_E_INVALID);
    host_end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_are_printed_shortest),
        cmocka_unit_test(text_becomes_numbers),
        cmocka_unit_test(other_text_is_refused),
        cmocka_unit_test(casting_fails_cleanly),
        cmocka_unit_test(splitting_is_pythons),
        cmocka_unit_test(splitting_nothing),
        cmocka_unit_test(strings_broadcast),
        cmocka_unit_test(stop_words_go),
        cmocka_unit_test(a_pattern_matches_whole_strings),
        cmocka_unit_test(a_hostile_pattern_ends),
        cmocka_unit_test(grams_are_counted_with_skips),
        cmocka_unit_test(wrong_pools_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
