/* tests/unit/test_value.c - buffers and values: lifetimes, sizes, failures. */
#include "runtime/host.h"
#include "runtime/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void count_release(void *context)
{
    ++*(int *)context;
}

static void buffers_are_aligned_and_counted(void **state)
{
    (void)state;
    gml_buffer *buffer = gml_buffer_create(100, true);
    assert_non_null(buffer);
    assert_int_equal((uintptr_t)gml_buffer_data(buffer) % 64, 0);
    assert_int_equal(gml_buffer_size(buffer), 100);
    assert_int_equal(((char *)gml_buffer_data(buffer))[99], 0);
    gml_buffer_release(gml_buffer_retain(buffer));
    gml_buffer_release(buffer);
    assert_null(gml_buffer_create(SIZE_MAX, false));
    assert_null(gml_buffer_retain(NULL));
    gml_buffer_release(NULL);
}

static void a_wrapped_buffer_is_released_once(void **state)
{
    (void)state;
    char memory[4];
    int n_released = 0;
    gml_buffer *buffer = gml_buffer_wrap(memory, sizeof memory, count_release, &n_released);
    gml_buffer_retain(buffer);
    gml_buffer_release(buffer);
    assert_int_equal(n_released, 0);
    gml_buffer_release(buffer);
    assert_int_equal(n_released, 1);
}

static void the_nth_allocation_fails(void **state)
{
    (void)state;
    gml_buffer_fail_at(2);
    gml_buffer *first = gml_buffer_create(1, false);
    assert_non_null(first);
    assert_null(gml_buffer_create(1, false));
    gml_buffer *third = gml_buffer_create(1, false);
    assert_non_null(third);
    gml_buffer_release(first);
    gml_buffer_release(third);
}

static void impossible_shapes_are_refused(void **state)
{
    (void)state;
    gml_rvalue value;
    const int64_t huge = (int64_t)1 << 40;
    assert_int_equal(gml_rvalue_alloc(&value, GML_F32, 2, (int64_t[]){2, -1}), GML_E_SHAPE);
    assert_int_equal(gml_rvalue_alloc(&value, GML_F32, 2, (int64_t[]){huge, huge}),
                     GML_E_SHAPE);
    assert_int_equal(gml_rvalue_alloc(&value, GML_F32, GML_MAX_RANK + 1, NULL), GML_E_SHAPE);
    assert_int_equal(gml_rvalue_alloc(&value, GML_F32, 2, (int64_t[]){huge, 0}), GML_OK);
    assert_int_equal(gml_tensor_numel(&value.tensor), 0);
    gml_rvalue_reset(&value);
    assert_int_equal(value.kind, GML_RVALUE_NONE);
}

static void strings_are_copied(void **state)
{
    (void)state;
    char text[] = "word";
    gml_string strings[3] = {{text, 4}, {NULL, 0}, {text + 1, 2}};
    gml_rvalue value;
    assert_int_equal(gml_rvalue_strings(&value, 1, (int64_t[]){3}, strings), GML_OK);
    memset(text, 'x', 4);
    const gml_string *copied = value.tensor.data;
    assert_memory_equal(copied[0].data, "word", 4);
    assert_int_equal(copied[1].len, 0);
    assert_memory_equal(copied[2].data, "or", 2);
    gml_rvalue copy;
    assert_int_equal(gml_rvalue_copy(&copy, &value), GML_OK);
    assert_ptr_equal(copy.tensor.data, value.tensor.data);
    gml_rvalue_reset(&value);
    assert_memory_equal(((const gml_string *)copy.tensor.data)[0].data, "word", 4);
    gml_rvalue_reset(&copy);
}

static void copying_a_sequence_fails_cleanly(void **state)
{
    (void)state;
    gml_rvalue outer;
    assert_int_equal(gml_rvalue_sequence(&outer, 2), GML_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(gml_rvalue_sequence(&outer.items[i], 1), GML_OK);
        assert_int_equal(gml_rvalue_alloc(&outer.items[i].items[0], GML_I64, 0, NULL), GML_OK);
    }
    gml_rvalue copy;
    for (unsigned n = 1; n <= 3; n++) {
        gml_buffer_fail_at(n);
        assert_int_equal(gml_rvalue_copy(&copy, &outer), GML_E_MEMORY);
        assert_int_equal(copy.kind, GML_RVALUE_NONE);
    }
    gml_buffer_fail_at(0);
    assert_int_equal(gml_rvalue_copy(&copy, &outer), GML_OK);
    assert_int_equal(copy.items[1].n_items, 1);
    gml_rvalue_reset(&outer);
    gml_rvalue_reset(&copy);
}

static void elements_wrap_and_round(void **state)
{
    (void)state;
    gml_rvalue value;
    assert_int_equal(gml_rvalue_alloc(&value, GML_I4, 1, (int64_t[]){2}), GML_OK);
    gml_host_put_int(&value.tensor, 0, 9);
    gml_host_put_int(&value.tensor, 1, 7);
    assert_int_equal(gml_host_get_int(&value.tensor, 0), -7);
    assert_int_equal(gml_host_get_int(&value.tensor, 1), 7);
    gml_rvalue_reset(&value);
    assert_int_equal(gml_rvalue_alloc(&value, GML_U64, 0, NULL), GML_OK);
    gml_host_put(&value.tensor, 0, 0x1p63);
    assert_true((uint64_t)gml_host_get_int(&value.tensor, 0) == (uint64_t)1 << 63);
    assert_true(gml_host_get_float(&value.tensor, 0) == 0x1p63);
    gml_rvalue_reset(&value);
    assert_int_equal(gml_rvalue_alloc(&value, GML_BF16, 0, NULL), GML_OK);
    gml_host_put(&value.tensor, 0, 1.00390625); /* half way: to even */
    assert_true(gml_host_get_float(&value.tensor, 0) == 1);
    gml_rvalue_reset(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_are_aligned_and_counted),
        cmocka_unit_test(a_wrapped_buffer_is_released_once),
        cmocka_unit_test(the_nth_allocation_fails),
        cmocka_unit_test(impossible_shapes_are_refused),
        cmocka_unit_test(strings_are_copied),
        cmocka_unit_test(copying_a_sequence_fails_cleanly),
        cmocka_unit_test(elements_wrap_and_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
