/* tests/unit/test_tensor_file.c - frontend/tensor_file.h: values in files of their own. */
#define _POSIX_C_SOURCE 200809L

#include "frontend/tensor_file.h"
#include "onnx_model.h"

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
    gml_file_value value;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    gml_arena_init(&f->arena);
    gml_diags_init(&f->diags, &f->arena);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    gml_arena_reset(&f->arena);
    free(f);
    return 0;
}

static gml_status parse(fixture *f, const void *bytes, size_t len, gml_type_kind kind)
{
    gml_type type = {.kind = kind};
    gml_file file = {bytes, len};
    return gml_tensor_file_parse(&file, &type, &f->arena, &f->value, &f->diags,
                                 (gml_loc){.file = "v.pb"});
}

static void tensors_come_back(void **state)
{
    fixture *f = *state;
    const char *base = getenv("TMPDIR");
    char path[128];
    snprintf(path, sizeof path, "%.64s/gemel-%ld.pb", base != NULL ? base : "/tmp",
             (long)getpid());
    int8_t nibbles[] = {-8, 7, -1};
    float floats[] = {1.5f, -2.0f};
    gml_string strings[] = {{"a\0b", 3}, {"", 0}};
    gml_tensor tensors[] = {
        {.dtype = GML_I4, .rank = 1, .dims = {3}, .data = nibbles},
        {.dtype = GML_F32, .rank = 2, .dims = {1, 2}, .data = floats},
        {.dtype = GML_F32, .rank = 2, .dims = {0, 2}},
        {.dtype = GML_STRING, .rank = 1, .dims = {2}, .data = strings},
    };
    for (size_t i = 0; i < sizeof tensors / sizeof tensors[0]; i++) {
        const gml_tensor *in = &tensors[i];
        const gml_tensor *out = &f->value.tensor;
        assert_int_equal(gml_tensor_file_write(path, "v", in, &f->diags), GML_OK);
        assert_int_equal(gml_tensor_file_read(path, NULL, &f->arena, &f->value, &f->diags),
                         GML_OK);
        assert_int_equal(f->value.kind, GML_FILE_TENSOR);
        assert_string_equal(f->value.name, "v");
        assert_int_equal(out->dtype, in->dtype);
        assert_int_equal(out->rank, in->rank);
        assert_memory_equal(out->dims, in->dims, (size_t)in->rank * sizeof in->dims[0]);
        size_t size = (size_t)gml_tensor_numel(in) * gml_dtype_size(in->dtype);
        if (in->dtype != GML_STRING && size != 0)
            assert_memory_equal(out->data, in->data, size);
    }
    const gml_string *found = f->value.tensor.data;
    assert_int_equal(found[0].len, 3);
    assert_memory_equal(found[0].data, "a\0b", 3);
    assert_int_equal(found[1].len, 0);
    unlink(path);
}

/* An i8 tensor (1) with the element 5. */
#define GML_ONE "\x08\x01\x10\x03\x4a\x01\x05"

static void containers_are_read(void **state)
{
    fixture *f = *state;
    static const char two[] = "\x10\x01\x1a\x07" GML_ONE "\x1a\x07" GML_ONE;
    assert_int_equal(parse(f, two, sizeof two - 1, GML_TYPE_SEQUENCE), GML_OK);
    assert_int_equal(f->value.kind, GML_FILE_SEQUENCE);
    assert_int_equal(f->value.n_items, 2);
    assert_int_equal(*(int8_t *)f->value.items[1].tensor.data, 5);
    assert_int_equal(parse(f, "", 0, GML_TYPE_SEQUENCE), GML_OK);
    assert_int_equal(f->value.n_items, 0);

    static const char some[] = "\x10\x01\x1a\x07" GML_ONE;
    assert_int_equal(parse(f, some, sizeof some - 1, GML_TYPE_OPTIONAL), GML_OK);
    assert_int_equal(f->value.kind, GML_FILE_OPTIONAL);
    assert_int_equal(f->value.n_items, 1);
    assert_int_equal(parse(f, "\x10\x01", 2, GML_TYPE_OPTIONAL), GML_OK);
    assert_int_equal(f->value.n_items, 0);

    static const char map[] = "\x10\x07\x18\x2a\x2a\x0b\x10\x01\x1a\x07" GML_ONE;
    assert_int_equal(parse(f, map, sizeof map - 1, GML_TYPE_MAP), GML_OK);
    assert_int_equal(f->value.kind, GML_FILE_MAP);
    assert_int_equal(*(int64_t *)f->value.items[0].tensor.data, 42);
    assert_int_equal(f->value.items[1].n_items, 1);
}

static void unsound_containers_are_refused(void **state)
{
    fixture *f = *state;
    static const char mixed[] = "\x1a\x07" GML_ONE "\x2a\x00"; /* a tensor and a sequence */
    static const char keys[] = "\x18\x2a\x18\x2b";             /* two keys, no value */
    assert_int_equal(parse(f, mixed, sizeof mixed - 1, GML_TYPE_SEQUENCE), GML_E_INVALID);
    assert_int_equal(parse(f, keys, sizeof keys - 1, GML_TYPE_MAP), GML_E_INVALID);
    assert_int_equal(parse(f, "", 0, GML_TYPE_TENSOR), GML_E_INVALID);
    uint8_t deep[126]; /* 63 optionals inside each other, in the bytes of one more */
    for (size_t i = 0; i < sizeof deep; i += 2) {
        deep[i] = 0x3a;
        deep[i + 1] = (uint8_t)(sizeof deep - i - 2);
    }
    assert_int_equal(parse(f, deep, sizeof deep, GML_TYPE_OPTIONAL), GML_OK);
    uint8_t deeper[128];
    memcpy(deeper + 2, deep, sizeof deep);
    deeper[0] = 0x3a;
    deeper[1] = sizeof deep;
    assert_int_equal(parse(f, deeper, sizeof deeper, GML_TYPE_OPTIONAL), GML_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tensors_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(containers_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unsound_containers_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
