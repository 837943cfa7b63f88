/* tests/unit/test_npy.c - frontend/npy.h: there and back, what NumPy writes, what nobody does.
 */
#define _POSIX_C_SOURCE 200809L

#include "base/file.h"
#include "frontend/npy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    gml_arena arena;
    gml_diags diags;
    gml_str bytes;
    gml_tensor tensor;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    gml_arena_init(&f->arena);
    gml_diags_init(&f->diags, &f->arena);
    gml_str_init(&f->bytes);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    gml_str_reset(&f->bytes);
    gml_arena_reset(&f->arena);
    free(f);
    return 0;
}

static gml_status parse(fixture *f, const char *bytes, size_t len)
{
    char *copy = malloc(len != 0 ? len : 1); /* reads past the end are seen by the sanitizer */
    memcpy(copy, bytes, len);
    gml_status status =
        gml_npy_parse(copy, len, &f->arena, &f->tensor, &f->diags, (gml_loc){.file = "a.npy"});
    free(copy);
    return status;
}

/* A file of version `version` with this header and these elements. */
static gml_status parse_file(fixture *f, int version, const char *header, const void *elements,
                             size_t len)
{
    size_t n = strlen(header);
    f->bytes.len = 0;
    gml_str_append(&f->bytes, "\x93NUMPY", 6);
    gml_str_putc(&f->bytes, (char)version);
    gml_str_putc(&f->bytes, 0);
    gml_str_append(&f->bytes, &n, version == 1 ? 2 : 4);
    gml_str_append(&f->bytes, header, n);
    gml_str_append(&f->bytes, elements, len);
    return parse(f, f->bytes.text, f->bytes.len);
}

static void every_type_comes_back(void **state)
{
    fixture *f = *state;
    static const gml_dtype dtypes[] = {
        GML_F32, GML_F64, GML_F16, GML_I8,  GML_I16, GML_I32,  GML_I64,
        GML_U8,  GML_U16, GML_U32, GML_U64, GML_C64, GML_C128, GML_BOOL,
    };
    uint8_t elements[96];
    for (size_t i = 0; i < sizeof elements; i++)
        elements[i] = (uint8_t)(i % 2); /* booleans, too */
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        gml_tensor tensor = {.dtype = dtypes[i], .rank = 2, .dims = {2, 3}, .data = elements};
        f->bytes.len = 0;
        gml_npy_format(&tensor, &f->bytes);
        size_t size = 6 * gml_dtype_size(dtypes[i]);
        assert_int_equal((f->bytes.len - size) % 64, 0);
        assert_int_equal(parse(f, f->bytes.text, f->bytes.len), GML_OK);
        assert_int_equal(f->tensor.dtype, dtypes[i]);
        assert_int_equal(f->tensor.rank, 2);
        assert_int_equal(f->tensor.dims[1], 3);
        assert_memory_equal(f->tensor.data, elements, size);
        assert_int_equal((uintptr_t)f->tensor.data % 64, 0);
    }
}

static void ranks_and_empty_arrays_come_back(void **state)
{
    fixture *f = *state;
    float value = 1.5f;
    static const struct {
        int rank;
        int64_t dims[4];
    } shapes[] = {{0, {0}}, {1, {1}}, {1, {0}}, {4, {1, 1, 1, 1}}, {3, {2, 0, 7}}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        gml_tensor tensor = {.dtype = GML_F32, .rank = shapes[i].rank, .data = &value};
        memcpy(tensor.dims, shapes[i].dims, sizeof shapes[i].dims);
        f->bytes.len = 0;
        gml_npy_format(&tensor, &f->bytes);
        assert_int_equal(parse(f, f->bytes.text, f->bytes.len), GML_OK);
        assert_int_equal(f->tensor.rank, tensor.rank);
        assert_int_equal(gml_tensor_numel(&f->tensor), gml_tensor_numel(&tensor));
    }
}

static void what_numpy_lacks_is_widened(void **state)
{
    fixture *f = *state;
    uint16_t bf16[] = {0x3f80, 0xc040}; /* 1, -3 */
    uint8_t f8[] = {0x38, 0xb8};        /* 1, -1 in e4m3fn */
    gml_tensor tensor = {.dtype = GML_BF16, .rank = 1, .dims = {2}, .data = bf16};
    gml_npy_format(&tensor, &f->bytes);
    assert_int_equal(parse(f, f->bytes.text, f->bytes.len), GML_OK);
    assert_int_equal(f->tensor.dtype, GML_F32);
    assert_true(((float *)f->tensor.data)[1] == -3.0f);
    tensor.dtype = GML_F8E4M3FN;
    tensor.data = f8;
    f->bytes.len = 0;
    gml_npy_format(&tensor, &f->bytes);
    assert_int_equal(parse(f, f->bytes.text, f->bytes.len), GML_OK);
    assert_true(((float *)f->tensor.data)[1] == -1.0f);
}

static void strings_come_back(void **state)
{
    fixture *f = *state;
    gml_string strings[] = {{"", 0}, {"a\xc3\xa9\xe2\x82\xac", 6}, {"\xf0\x9f\x98\x80", 4}};
    gml_tensor tensor = {.dtype = GML_STRING, .rank = 1, .dims = {3}, .data = strings};
    gml_npy_format(&tensor, &f->bytes);
    assert_non_null(strstr(f->bytes.text + 10, "'<U3'"));
    assert_int_equal(parse(f, f->bytes.text, f->bytes.len), GML_OK);
    const gml_string *found = f->tensor.data;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(found[i].len, strings[i].len);
        assert_memory_equal(found[i].data, strings[i].data, strings[i].len);
    }
    strings[1].data = "\xff\xc3(\xed\xa0\x80"; /* no UTF-8 */
    f->bytes.len = 0;
    gml_npy_format(&tensor, &f->bytes);
    assert_int_equal(parse(f, f->bytes.text, f->bytes.len), GML_OK);
    assert_int_equal(parse_file(f, 1,
                                "{'descr': '|S3', 'fortran_order': False, 'shape': (2,), }",
                                "ab\0xyz", 6),
                     GML_OK);
    found = f->tensor.data;
    assert_int_equal(found[0].len, 2);
    assert_memory_equal(found[1].data, "xyz", 3);
}

static void what_numpy_may_write_is_read(void **state)
{
    fixture *f = *state;
    static const int8_t column_major[] = {1, 4, 2, 5, 3, 6};
    static const int8_t row_major[] = {1, 2, 3, 4, 5, 6};
    assert_int_equal(parse_file(f, 1,
                                "{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }\n",
                                column_major, 6),
                     GML_OK);
    assert_memory_equal(f->tensor.data, row_major, 6);
    assert_int_equal(parse_file(f, 2, "{'shape': (), \"descr\": '>i4', 'fortran_order': False}",
                                "\0\0\1\2", 4),
                     GML_OK);
    assert_int_equal(*(int32_t *)f->tensor.data, 258);
    assert_int_equal(parse_file(f, 3, "{'descr':'>c8','fortran_order':False,'shape':(1,)}",
                                "\x3f\x80\0\0\x40\0\0\0", 8),
                     GML_OK);
    assert_true(((float *)f->tensor.data)[0] == 1.0f && ((float *)f->tensor.data)[1] == 2.0f);
    assert_int_equal(parse_file(f, 1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}",
                                "\x02\x00", 2),
                     GML_OK);
    assert_memory_equal(f->tensor.data, "\x01\x00", 2);
}

static void hostile_files_are_refused(void **state)
{
    fixture *f = *state;
    static const char *const headers[] = {
        "",
        "{",
        "{}",
        "{'descr': '<f4'",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (0,)}",
        "{'descr': '<f3', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|V4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<U1000000000000', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|S0', 'fortran_order': False, 'shape': (1000000000000000,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': 'f', 'fortran_order': False, 'shape': (1,)}",
        "{'descr: '<f4', 'fortran_order': False, 'shape': (1,)}",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        if (parse_file(f, 1, headers[i], "\0\0\0\0", 4) == GML_OK)
            fail_msg("accepted: %s", headers[i]);
    }
    uint8_t elements[] = {1, 2, 3};
    gml_tensor tensor = {.dtype = GML_U8, .rank = 1, .dims = {3}, .data = elements};
    f->bytes.len = 0;
    gml_npy_format(&tensor, &f->bytes);
    for (size_t n = 0; n < f->bytes.len; n++)
        assert_int_not_equal(parse(f, f->bytes.text, n), GML_OK);
}

static void archives_come_back(void **state)
{
    fixture *f = *state;
    const char *base = getenv("TMPDIR");
    char path[128];
    snprintf(path, sizeof path, "%.64s/gemel-npz-%ld.npz", base != NULL ? base : "/tmp",
             (long)getpid());
    float a[] = {1, 2, 3};
    int64_t b = 7;
    const gml_named_tensor items[] = {
        {"a", {.dtype = GML_F32, .rank = 1, .dims = {3}, .data = a}},
        {"x/b", {.dtype = GML_I64, .data = &b}},
    };
    gml_npz npz;
    gml_file file;
    assert_int_equal(gml_npz_write(path, items, 2, &f->diags), GML_OK);
    assert_int_equal(gml_npz_read(path, &f->arena, &npz, &f->diags), GML_OK);
    assert_int_equal(npz.list.count, 2);
    assert_string_equal(npz.list.items[0].name, "a");
    assert_memory_equal(npz.list.items[0].tensor.data, a, sizeof a);
    assert_string_equal(npz.list.items[1].name, "x/b");
    assert_int_equal(npz.list.items[1].tensor.rank, 0);
    assert_int_equal(gml_file_map(path, &file, &f->diags), GML_OK);
    char *damaged = malloc(file.size);
    for (size_t i = 0; i < file.size; i++) {
        memcpy(damaged, file.data, file.size);
        damaged[i] = (char)(damaged[i] ^ 0x41);
        (void)!gml_npz_parse(damaged, file.size, &f->arena, &npz, &f->diags,
                             (gml_loc){.file = "damaged"});
    }
    free(damaged);
    gml_file_unmap(&file);
    unlink(path);
    assert_int_not_equal(
        gml_npz_parse("PK", 2, &f->arena, &npz, &f->diags, (gml_loc){.file = "short"}), GML_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_type_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ranks_and_empty_arrays_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_numpy_lacks_is_widened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strings_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_numpy_may_write_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(hostile_files_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(archives_come_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
