/* tests/unit/test_external.c - frontend/external.h: a model gets the bytes it may have, and no
 * others. Every case of ONNX's advisories about external data is here. */
#define _POSIX_C_SOURCE 200809L

#include "base/file.h"
#include "frontend/export.h"
#include "onnx_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* root/secret.bin, root/models/{weights.bin, sub/weights.bin, …}: models live in `folder`. */
typedef struct place {
    char root[64];
    char folder[80];
} place;

static const char elements[] = "0123456789abcdefghijklmnopqrstuv"; /* 32 bytes */

static const char *path_in(const char *folder, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *folder, const char *name, const char *bytes, size_t len)
{
    FILE *stream = fopen(path_in(folder, name), "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, len, stream), len);
    fclose(stream);
}

static void make_link(const place *p, const char *target, const char *name, bool is_hard)
{
    char from[512];
    snprintf(from, sizeof from, "%s", is_hard ? path_in(p->folder, target) : target);
    const char *to = path_in(p->folder, name);
    assert_int_equal(is_hard ? link(from, to) : symlink(from, to), 0);
}

static int set_up(void **state)
{
    place *p = calloc(1, sizeof *p);
    const char *base = getenv("TMPDIR");
    snprintf(p->root, sizeof p->root, "%.40s/gemel-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(p->root) == NULL)
        return -1;
    snprintf(p->folder, sizeof p->folder, "%s/models", p->root);
    mkdir(p->folder, 0700);
    mkdir(path_in(p->folder, "sub"), 0700);
    write_file(p->root, "secret.bin", elements, 32);
    write_file(p->folder, "weights.bin", elements, 32);
    write_file(p->folder, "sub/weights.bin", elements, 32);
    write_file(p->folder, "original.bin", elements, 32);
    make_link(p, "../secret.bin", "symlink.bin", false);
    make_link(p, "weights.bin", "inside.bin", false);
    make_link(p, "sub", "linked", false);
    make_link(p, "original.bin", "hardlink.bin", true);
    mkfifo(path_in(p->folder, "pipe"), 0600);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    place *p = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", p->root);
    int status = system(command);
    free(p);
    return status;
}

/* A model with an initialiser "w", f32[2] (8 bytes), whose keys are pairs up to a NULL. */
static void begin(onnx_model *m, const char *const *keys)
{
    model_init(m, 17);
    Onnx__TensorProto *w = add_tensor(m, "w", GML_F32, 1, (const int64_t[]){2}, NULL, 0);
    for (; *keys != NULL; keys += 2)
        add_external(m, w, keys[0], keys[1]);
    if (w->n_external_data == 0) {
        w->has_data_location = 1;
        w->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    }
    add_node(m, "Neg", "w", "y");
    add_output(m, "y", GML_F32);
}
#define KEYS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void assert_refused(const place *p, const char *const *keys, const char *why)
{
    onnx_model m;
    gml_onnx_options options = {.folder = p->folder};
    begin(&m, keys);
    assert_int_not_equal(refuse_model(&m, &options), GML_OK);
    if (!says(&m, why))
        fail_msg("\"%s\" is not about \"%s\"", m.bytes.text, why);
    assert_true(says(&m, "w (Constant): "));
    model_reset(&m);
}

static void assert_found(const place *p, const char *const *keys, const char *expected)
{
    onnx_model m;
    gml_module *module;
    gml_onnx_options options = {.folder = p->folder};
    begin(&m, keys);
    if (load_model(&m, &options, &module) != GML_OK)
        fail_msg("%s", gml_diags_print(&m.diags));
    assert_memory_equal(module->main->first->results[0].constant->data, expected, 8);
    gml_module_destroy(module);
    model_reset(&m);
}

static void data_beside_the_model_is_found(void **state)
{
    const place *p = *state;
    assert_found(p, KEYS("location", "weights.bin"), "01234567");
    assert_found(p, KEYS("location", "sub/weights.bin", "offset", "8"), "89abcdef");
    assert_found(p, KEYS("location", "./weights.bin", "offset", "24", "length", "8"),
                 "opqrstuv");
    assert_found(p, KEYS("location", "weights.bin", "checksum", "none", "basepath", "/"),
                 "01234567");
}

static void paths_stay_inside_the_folder(void **state)
{
    const place *p = *state;
    static const char *const outside[] = {"../secret.bin",
                                          "..",
                                          "sub/../../secret.bin",
                                          "a/../../secret.bin",
                                          "sub/..",
                                          "./../secret.bin",
                                          "sub/../weights.bin",
                                          "..//secret.bin"};
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++)
        assert_refused(p, KEYS("location", outside[i]), "leaves the model's folder");
    assert_refused(p, KEYS("location", "/etc/passwd"), "is absolute");
    assert_refused(p, KEYS("location", "..\\secret.bin"), "backslash");
    assert_refused(p, KEYS("location", "C:weights.bin"), "colon");
    assert_refused(p, KEYS("location", ""), "is empty");
    assert_refused(p, KEYS("location", "missing.bin"), "cannot open external data");
    assert_refused(p, KEYS("location", "sub"), "not a regular file");
    assert_refused(p, KEYS("location", "pipe"), "not a regular file");
    assert_refused(p, KEYS("location", "weights.bin/x"), "external data");
}

static void links_are_not_followed(void **state)
{
    const place *p = *state;
    assert_refused(p, KEYS("location", "symlink.bin"), "through a symbolic link");
    assert_refused(p, KEYS("location", "inside.bin"), "through a symbolic link");
    assert_refused(p, KEYS("location", "linked/weights.bin"), "through a symbolic link");
    assert_refused(p, KEYS("location", "hardlink.bin"), "2 names (hard links)");
    onnx_model m;
    gml_module *module;
    gml_onnx_options options = {.folder = p->folder, .allow_hard_links = true};
    begin(&m, KEYS("location", "hardlink.bin"));
    assert_int_equal(load_model(&m, &options, &module), GML_OK);
    gml_module_destroy(module);
    model_reset(&m);
}

static void keys_are_few_and_bounded(void **state)
{
    const place *p = *state;
    assert_refused(p, KEYS("offset", "0"), "has no location");
    assert_refused(p, KEYS("location", "weights.bin", "__class__", "x"), "unknown key");
    assert_refused(p, KEYS("location", "weights.bin", "location", "weights.bin"), "two keys");
    assert_refused(p, KEYS("location", "weights.bin", "offset", "-8"), "is no size");
    assert_refused(p, KEYS("location", "weights.bin", "offset", "+8"), "is no size");
    assert_refused(p, KEYS("location", "weights.bin", "offset", "8 "), "is no size");
    assert_refused(p, KEYS("location", "weights.bin", "offset", ""), "is no size");
    assert_refused(p, KEYS("location", "weights.bin", "offset", "18446744073709551616"),
                   "is no size");
    assert_refused(p, KEYS("location", "weights.bin", "offset", "18446744073709551608"),
                   "is outside");
    assert_refused(p, KEYS("location", "weights.bin", "offset", "25"), "is outside");
    assert_refused(p, KEYS("location", "weights.bin", "length", "9"),
                   "where its shape needs 8");
    assert_refused(p, KEYS("location", "weights.bin", "length", "18446744073709551615"),
                   "where its shape needs 8");
}

/* A NUL would cut the path short for the kernel and not for the check. */
static void a_nul_in_a_path_is_refused(void **state)
{
    const place *p = *state;
    onnx_model m;
    gml_module *module;
    gml_onnx_options options = {.folder = p->folder};
    begin(&m, KEYS("location", "weights.bin?x"));
    size_t size = onnx__model_proto__get_packed_size(&m.proto);
    char *bytes = gml_arena_alloc(&m.arena, size);
    (void)onnx__model_proto__pack(&m.proto, (uint8_t *)bytes);
    *(char *)memchr(bytes, '?', size) = '\0';
    assert_int_equal(gml_onnx_parse(bytes, size, &options, &module, &m.diags), GML_E_INVALID);
    model_reset(&m);
}

static void models_in_memory_have_no_folder(void **state)
{
    (void)state;
    onnx_model m;
    begin(&m, KEYS("location", "weights.bin"));
    assert_int_equal(refuse_model(&m, NULL), GML_E_INVALID);
    assert_true(says(&m, "the model has no folder"));
    model_reset(&m);
}

/* Writing replaces what is called PATH.data; it never writes through a link. */
static void writing_does_not_follow_links(void **state)
{
    const place *p = *state;
    onnx_model m;
    gml_module *module;
    char path[512];
    float *values = calloc(2048, sizeof *values);
    values[2047] = 7.0f;
    model_init(&m, 17);
    add_tensor(&m, "w", GML_F32, 1, (const int64_t[]){2048}, values, 8192);
    add_node(&m, "Neg", "w", "y");
    add_output(&m, "y", GML_F32);
    assert_int_equal(load_model(&m, NULL, &module), GML_OK);
    make_link(p, "../secret.bin", "out.onnx.data", false);
    snprintf(path, sizeof path, "%s", path_in(p->folder, "out.onnx"));
    gml_export_options outside = {.external_data = true};
    assert_int_equal(gml_onnx_save(module, path, &outside, &m.diags), GML_OK);
    gml_module_destroy(module);
    gml_file secret;
    assert_int_equal(gml_file_map(path_in(p->root, "secret.bin"), &secret, &m.diags), GML_OK);
    assert_int_equal(secret.size, 32);
    assert_memory_equal(secret.data, elements, 32);
    gml_file_unmap(&secret);
    assert_int_equal(gml_onnx_load(path, NULL, &module, &m.diags), GML_OK);
    const gml_tensor *w = module->main->first->results[0].constant;
    assert_memory_equal(w->data, values, 8192);
    assert_int_equal((uintptr_t)w->data % 4096, 0);
    gml_module_destroy(module);
    model_reset(&m);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_beside_the_model_is_found),
        cmocka_unit_test(paths_stay_inside_the_folder),
        cmocka_unit_test(links_are_not_followed),
        cmocka_unit_test(keys_are_few_and_bounded),
        cmocka_unit_test(a_nul_in_a_path_is_refused),
        cmocka_unit_test(models_in_memory_have_no_folder),
        cmocka_unit_test(writing_does_not_follow_links),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
