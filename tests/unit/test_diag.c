/* tests/unit/test_diag.c - base/diag.h, and the tables of gemel/types.h. */
#include "base/diag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static gml_status fail_once(gml_diags *diags, gml_status status)
{
    GML_TRY(GML_OK);
    GML_TRY(status);
    return gml_fail(diags, GML_E_SHAPE, (gml_loc){0}, "not reached when `status` fails");
}

static void diagnostics_name_the_place(void **state)
{
    (void)state;
    gml_arena arena;
    gml_arena_init(&arena);
    gml_diags diags;
    gml_diags_init(&diags, &arena);
    gml_note(&diags, "a note on nothing is dropped");
    assert_string_equal(gml_diags_print(&diags), "");

    gml_loc full = {.file = "m.onnx", .node = "/block/add", .op = "Add"};
    assert_int_equal(gml_fail(&diags, GML_E_SHAPE, full, "%d against %d", 7, 8), GML_E_SHAPE);
    gml_note(&diags, "operand %d comes from %s", 1, "x");
    gml_note(&diags, "another");
    gml_loc text = {.file = "t.gir", .line = 2, .node = "%y"};
    assert_int_equal(gml_fail(&diags, GML_E_TYPE, text, "one"), GML_E_TYPE);
    assert_int_equal(gml_fail(&diags, GML_E_IO, (gml_loc){.op = "Sub", .line = 4}, "two"),
                     GML_E_IO);
    assert_int_equal(gml_fail(&diags, GML_E_IO, (gml_loc){0}, "three"), GML_E_IO);
    assert_string_equal(gml_diags_print(&diags), "m.onnx: /block/add (Add): 7 against 8\n"
                                                 "  note: operand 1 comes from x\n"
                                                 "  note: another\n"
                                                 "t.gir:2: %y: one\n"
                                                 "line 4: Sub: two\n"
                                                 "three\n");
    gml_diags_truncate(&diags, 9);
    assert_int_equal(diags.list.count, 4);
    gml_diags_truncate(&diags, 1);
    assert_int_equal(diags.list.count, 1);
    assert_int_equal(fail_once(&diags, GML_E_RANGE), GML_E_RANGE);
    assert_int_equal(diags.list.count, 1);
    gml_arena_reset(&arena);
}

static void control_characters_of_names_do_not_get_out(void **state)
{
    (void)state;
    gml_arena arena;
    gml_arena_init(&arena);
    gml_diags diags;
    gml_diags_init(&diags, &arena);
    gml_loc loc = {.file = "a\nb", .node = "\x1b[31mred"};
    assert_int_equal(gml_fail(&diags, GML_E_INVALID, loc, "no value %s", "x\r\ny\x7f"),
                     GML_E_INVALID);
    gml_note(&diags, "from %s", "\tz");
    assert_string_equal(gml_diags_print(&diags), "a?b: ?[31mred: no value x??y?\n"
                                                 "  note: from ?z\n");
    gml_arena_reset(&arena);
}

static void statuses_have_text_and_exit_statuses(void **state)
{
    (void)state;
    assert_string_equal(gml_status_text(GML_OK), "ok");
    assert_int_equal(gml_status_exit(GML_OK), 0);
    assert_int_equal(gml_status_exit(GML_E_MISMATCH), 1);
    assert_int_equal(gml_status_exit(GML_E_SHAPE), 3);
    assert_string_equal(gml_status_text(GML_E_INTERNAL), "internal error");
    assert_int_equal(gml_status_exit((gml_status)1000), 5);
}

static void dtypes_are_found_by_their_names(void **state)
{
    (void)state;
    for (int number = 0; number < GML_DTYPE_COUNT; number++) {
        gml_dtype dtype = (gml_dtype)number;
        const char *name = gml_dtype_name(dtype);
        assert_int_equal(gml_dtype_find(name, strlen(name)), dtype);
        if (dtype != GML_NONE && dtype != GML_STRING)
            assert_int_equal(gml_dtype_size(dtype), (gml_dtype_bits(dtype) + 7) / 8);
    }
    assert_int_equal(gml_dtype_find("f32x", 3), GML_F32);
    assert_int_equal(gml_dtype_find("f3", 2), GML_NONE);
    assert_int_equal(gml_dtype_find("", 0), GML_NONE);
    assert_int_equal(gml_dtype_get_class(GML_F8E8M0), GML_CLASS_FLOAT);
    assert_int_equal(gml_dtype_get_class(GML_U4), GML_CLASS_UNSIGNED);
    assert_string_equal(gml_dtype_name((gml_dtype)99), "none");
}

static void elements_are_counted_without_overflow(void **state)
{
    (void)state;
    gml_tensor tensor = {.dtype = GML_F32};
    assert_int_equal(gml_tensor_numel(&tensor), 1);
    tensor = (gml_tensor){.rank = 3, .dims = {2, 3, 4}};
    assert_int_equal(gml_tensor_numel(&tensor), 24);
    int64_t huge = INT64_C(1) << 40;
    tensor = (gml_tensor){.rank = 2, .dims = {huge, huge}};
    assert_true(gml_tensor_numel(&tensor) == INT64_MAX);
    tensor = (gml_tensor){.rank = 3, .dims = {huge, huge, 0}};
    assert_int_equal(gml_tensor_numel(&tensor), 0);
    tensor = (gml_tensor){.rank = 2, .dims = {-1, 5}};
    assert_int_equal(gml_tensor_numel(&tensor), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(diagnostics_name_the_place),
        cmocka_unit_test(control_characters_of_names_do_not_get_out),
        cmocka_unit_test(statuses_have_text_and_exit_statuses),
        cmocka_unit_test(dtypes_are_found_by_their_names),
        cmocka_unit_test(elements_are_counted_without_overflow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
