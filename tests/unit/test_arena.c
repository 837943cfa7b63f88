/* tests/unit/test_arena.c - base/arena.h and base/str.h. */
#include "base/arena.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool is_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static void arena_bytes_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    gml_arena arena;
    gml_arena_init(&arena);
    unsigned char *chunks[400];
    size_t used = 0;
    /* Sizes up to 120 KB: some share blocks, some get their own. */
    for (size_t i = 0; i < 400; i++) {
        size_t size = i * i * 3 / 4;
        chunks[i] = gml_arena_alloc(&arena, size);
        assert_non_null(chunks[i]);
        assert_int_equal((uintptr_t)chunks[i] % alignof(max_align_t), 0);
        assert_true(is_zero(chunks[i], size));
        memset(chunks[i], (int)(i & 0xff), size);
        used += size;
        assert_int_equal(arena.used, used);
    }
    for (size_t i = 0; i < 400; i++) {
        size_t size = i * i * 3 / 4;
        for (size_t j = 0; j < size; j++)
            assert_int_equal(chunks[i][j], i & 0xff);
    }
    gml_arena_reset(&arena);
    assert_int_equal(arena.used, 0);
    assert_null(arena.blocks);
    assert_true(is_zero(gml_arena_alloc(&arena, 1000), 1000));
    gml_arena_reset(&arena);
}

static void arena_keeps_filling_the_newest_block_after_a_large_request(void **state)
{
    (void)state;
    gml_arena arena;
    gml_arena_init(&arena);
    gml_arena_alloc(&arena, 16);
    struct gml_arena_block *newest = arena.blocks;
    memset(gml_arena_alloc(&arena, (size_t)10 << 20), 1, (size_t)10 << 20);
    gml_arena_alloc(&arena, 16);
    assert_ptr_equal(arena.blocks, newest);
    gml_arena_reset(&arena);

    /* The other way round: a large request first, then the arena grows as usual. */
    gml_arena_alloc(&arena, (size_t)10 << 20);
    for (int i = 0; i < 1000; i++)
        memset(gml_arena_alloc(&arena, 100), 1, 100);
    gml_arena_reset(&arena);
}

static void arena_copies_text_and_formats(void **state)
{
    (void)state;
    gml_arena arena;
    gml_arena_init(&arena);
    assert_string_equal(gml_arena_text(&arena, "abcdef", 3), "abc");
    assert_string_equal(gml_arena_text(&arena, NULL, 0), "");
    int numbers[] = {1, 2, 3};
    assert_memory_equal(gml_arena_copy(&arena, numbers, sizeof(numbers)), numbers,
                        sizeof(numbers));
    assert_non_null(gml_arena_copy(&arena, NULL, 0));
    assert_string_equal(gml_arena_printf(&arena, "%d and %s", 7, "eight"), "7 and eight");
    assert_string_equal(gml_arena_printf(&arena, "%s", ""), "");
    char *wide = gml_arena_printf(&arena, "%100000d", 5);
    assert_int_equal(strlen(wide), 100000);
    gml_arena_reset(&arena);
}

static void vectors_grow_and_keep_their_items(void **state)
{
    (void)state;
    gml_arena arena;
    gml_arena_init(&arena);
    gml_vec(int64_t) vec = {0};
    for (int64_t i = 0; i < 10000; i++)
        gml_push(&arena, &vec, i * i);
    assert_int_equal(vec.count, 10000);
    for (int64_t i = 0; i < 10000; i++)
        assert_int_equal(vec.items[i], i * i);
    gml_arena_reset(&arena);
}

static void strings_grow_and_stay_terminated(void **state)
{
    (void)state;
    gml_str str;
    gml_str_init(&str);
    assert_string_equal(str.text, "");
    gml_str_puts(&str, "");
    assert_string_equal(str.text, "");
    for (int i = 0; i < 1000; i++) {
        gml_str_printf(&str, "%d", i % 10);
        assert_int_equal(str.len, i + 1);
        assert_int_equal(str.text[str.len], '\0');
    }
    gml_str_append(&str, "a\0b", 3);
    gml_str_putc(&str, 'c');
    assert_int_equal(str.len, 1004);
    assert_memory_equal(str.text + 998, "89a\0bc", 7);
    gml_str_reset(&str);
    assert_int_equal(str.len, 0);
    assert_string_equal(str.text, "");
    gml_str_reset(&str);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_bytes_are_zeroed_aligned_and_apart),
        cmocka_unit_test(arena_keeps_filling_the_newest_block_after_a_large_request),
        cmocka_unit_test(arena_copies_text_and_formats),
        cmocka_unit_test(vectors_grow_and_keep_their_items),
        cmocka_unit_test(strings_grow_and_stay_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
