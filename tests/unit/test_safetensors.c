/* tests/unit/test_safetensors.c - the safetensors format: what is written is read again, and
 * what a damaged or hostile file says is not believed. */
#define _POSIX_C_SOURCE 200809L

#include "api/safetensors.h"

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
    char path[64];
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    gml_arena_init(&f->arena);
    gml_diags_init(&f->diags, &f->arena);
    strcpy(f->path, "/tmp/gemel_safetensors_XXXXXX");
    int fd = mkstemp(f->path);
    *state = f;
    return fd >= 0 ? close(fd) : -1;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    (void)unlink(f->path);
    gml_arena_reset(&f->arena);
    free(f);
    return 0;
}

/* A file with this header and so many bytes of elements. */
static void write_file(const fixture *f, const char *header, size_t n_bytes)
{
    FILE *file = fopen(f->path, "wb");
    assert_non_null(file);
    for (unsigned i = 0; i < 8; i++)
        fputc((int)((uint64_t)strlen(header) >> (8 * i) & 255), file);
    fputs(header, file);
    for (size_t i = 0; i < n_bytes; i++)
        fputc(0, file);
    assert_int_equal(fclose(file), 0);
}

static void test_round_trip(void **state)
{
    fixture *f = *state;
    float weights[6] = {1, 2, 3, 4, 5, 6};
    int64_t step = 7;
    gml_safetensor items[] = {
        {.name = "fc.weight",
         .tensor = {.dtype = GML_F32, .rank = 2, .dims = {2, 3}, .data = weights}},
        {.name = "step", .tensor = {.dtype = GML_I64, .data = &step}},
        {.name = "none", .tensor = {.dtype = GML_F32, .rank = 1, .dims = {0}}},
    };
    gml_safetensors_text text = {"format", "gemel"};
    assert_int_equal(gml_safetensors_write(f->path, items, 3, &text, 1, &f->diags), GML_OK);
    gml_safetensors file;
    assert_int_equal(gml_safetensors_open(f->path, &file, &f->diags), GML_OK);
    assert_int_equal(file.n_tensors, 3);
    const gml_safetensor *weight = gml_safetensors_find(&file, "fc.weight");
    assert_non_null(weight);
    assert_int_equal(weight->tensor.rank, 2);
    assert_int_equal(weight->tensor.dims[1], 3);
    assert_memory_equal(weight->tensor.data, weights, sizeof weights);
    assert_memory_equal(gml_safetensors_find(&file, "step")->tensor.data, &step, sizeof step);
    assert_int_equal(gml_safetensors_find(&file, "none")->size, 0);
    assert_null(gml_safetensors_find(&file, "fc"));
    assert_int_equal(file.n_texts, 1);
    assert_string_equal(file.texts[0].value, "gemel");
    gml_safetensors_close(&file);
}

static void test_refused(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *header;
        size_t n_bytes;
        gml_status status;
    } cases[] = {
        {"[1]", 0, GML_E_INVALID},
        {"{\"a\":", 0, GML_E_INVALID},
        {"{\"a\":1}", 0, GML_E_INVALID},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, GML_E_INVALID},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, GML_E_INVALID},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 7, GML_E_INVALID},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,12]}}", 12,
         GML_E_INVALID},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, GML_E_INVALID},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", 8, GML_E_INVALID},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, GML_E_INVALID},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}",
         0, GML_E_INVALID},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],\"data_"
         "offsets\":"
         "[0,1]}}",
         1, GML_E_INVALID},
        {"{\"a\":{\"dtype\":\"F3\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8,
         GML_E_UNSUPPORTED},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
         "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}",
         1, GML_E_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gml_safetensors file;
        write_file(f, cases[i].header, cases[i].n_bytes);
        gml_status status = gml_safetensors_open(f->path, &file, &f->diags);
        if (status != cases[i].status)
            print_message("%s\n", cases[i].header);
        assert_int_equal(status, cases[i].status);
    }
}

/* The length in front is the first thing that a file can lie about. */
static void test_length(void **state)
{
    fixture *f = *state;
    static const unsigned char lies[][9] = {
        {3, 0, 0, 0, 0, 0, 0, 0, '{'},
        {255, 255, 255, 255, 255, 255, 255, 255, '{'},
        {0, 0, 0, 0, 0, 0, 0, 0, '{'},
    };
    gml_safetensors file;
    for (size_t i = 0; i < 3; i++) {
        for (size_t len = 0; len <= 9; len += 3) {
            assert_int_equal(gml_file_write(f->path, lies[i], len, &f->diags), GML_OK);
            assert_int_equal(gml_safetensors_open(f->path, &file, &f->diags), GML_E_INVALID);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_length, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
