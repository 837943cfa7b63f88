/* tests/unit/test_map.c - base/map.h. */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void an_empty_map_finds_nothing(void **state)
{
    (void)state;
    gml_arena arena;
    gml_arena_init(&arena);
    gml_map map;
    gml_map_init(&map, &arena);
    assert_null(gml_map_find(&map, "x"));
    assert_false(gml_map_has(&map, ""));
    gml_arena_reset(&arena);
}

static void set_returns_what_was_there(void **state)
{
    (void)state;
    gml_arena arena;
    gml_arena_init(&arena);
    gml_map map;
    gml_map_init(&map, &arena);
    int one = 1;
    int two = 2;
    char key[] = "key";
    assert_null(gml_map_set(&map, key, &one));
    key[0] = 'x'; /* the map has a copy */
    assert_ptr_equal(gml_map_find(&map, "key"), &one);
    assert_ptr_equal(gml_map_set(&map, "key", &two), &one);
    assert_ptr_equal(gml_map_find(&map, "key"), &two);
    assert_int_equal(map.count, 1);
    assert_null(gml_map_set(&map, "", NULL));
    assert_true(gml_map_has(&map, ""));
    assert_null(gml_map_find(&map, ""));
    assert_ptr_equal(gml_map_find_len(&map, "keyboard", 3), &two);
    assert_null(gml_map_find_len(&map, "keyboard", 4));
    gml_arena_reset(&arena);
}

static void many_keys_are_found_and_stay_in_order(void **state)
{
    (void)state;
    enum { GML_N_KEYS = 20000 };
    static int values[GML_N_KEYS];
    gml_arena arena;
    gml_arena_init(&arena);
    gml_map map;
    gml_map_init(&map, &arena);
    char key[32];
    for (int i = 0; i < GML_N_KEYS; i++) {
        snprintf(key, sizeof(key), "node_%d", i * 7919);
        assert_null(gml_map_set(&map, key, &values[i]));
    }
    assert_int_equal(map.count, GML_N_KEYS);
    for (int i = 0; i < GML_N_KEYS; i++) {
        snprintf(key, sizeof(key), "node_%d", i * 7919);
        assert_ptr_equal(gml_map_find(&map, key), &values[i]);
        assert_string_equal(map.entries[i].key, key);
        assert_int_equal(map.entries[i].len, strlen(key));
        snprintf(key, sizeof(key), "other_%d", i);
        assert_false(gml_map_has(&map, key));
    }
    gml_arena_reset(&arena);
}

static void hashes_depend_on_every_byte_and_on_nothing_else(void **state)
{
    (void)state;
    unsigned char bytes[64] = {0};
    for (size_t len = 0; len < 40; len++) {
        uint64_t plain = gml_hash_bytes(bytes, len, 0);
        assert_int_equal(gml_hash_bytes(bytes + 1, len, 0), plain);
        assert_int_not_equal(gml_hash_bytes(bytes, len + 1, 0), plain);
        assert_int_not_equal(gml_hash_bytes(bytes, len, 1), plain);
        for (size_t i = 0; i < len; i++) {
            bytes[i] = 0x80;
            assert_int_not_equal(gml_hash_bytes(bytes, len, 0), plain);
            bytes[i] = 0;
        }
    }
    /* The same on every machine: caches and goldens may store it. */
    assert_true(gml_hash_bytes("", 0, 0) == UINT64_C(0xe4023fde10dabde0));
    assert_true(gml_hash_bytes("gemel graph", 11, 3) == UINT64_C(0x9dbc4f6429cb744a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_finds_nothing),
        cmocka_unit_test(set_returns_what_was_there),
        cmocka_unit_test(many_keys_are_found_and_stay_in_order),
        cmocka_unit_test(hashes_depend_on_every_byte_and_on_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
