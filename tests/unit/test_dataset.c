/* tests/unit/test_dataset.c - folders and shards as lists; what is refused; files that change.
 */
#define _XOPEN_SOURCE 700

#include "data/dataset.h"
#include "data_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct fixture {
    char *root;
    gml_arena arena;
    gml_diags diags;
    gml_dataset *dataset;
    gml_work work;
} fixture;

static void begin(fixture *f)
{
    *f = (fixture){.root = data_files_create()};
    gml_arena_init(&f->arena);
    gml_diags_init(&f->diags, &f->arena);
}

static void end(fixture *f)
{
    gml_dataset_close(f->dataset);
    gml_work_reset(&f->work);
    data_files_remove(f->root);
    gml_arena_reset(&f->arena);
}

static gml_status open_it(fixture *f)
{
    return gml_dataset_open(f->root, &f->dataset, &f->diags);
}

static void check_name(fixture *f, uint32_t i, const char *expected)
{
    gml_str name;
    gml_str full;
    gml_str_init(&name);
    gml_str_init(&full);
    gml_dataset_name(f->dataset, i, &name);
    gml_str_printf(&full, "%s/%s", f->root, expected);
    assert_string_equal(name.text, full.text);
    gml_str_reset(&full);
    gml_str_reset(&name);
}

static void check_bytes(fixture *f, uint32_t i, const char *expected)
{
    gml_picture_bytes bytes = {.error = ""};
    assert_int_equal(gml_dataset_read(f->dataset, i, &f->work, &bytes), GML_OK);
    assert_int_equal(bytes.size, strlen(expected));
    assert_memory_equal(bytes.data, expected, bytes.size);
}

static void folders_are_classes(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    data_write(f.root, "dog/b.JPEG", "1", 1);
    data_write(f.root, "dog/a.jpg", "22", 2);
    data_write(f.root, "dog/deep/er/c.PnG", "333", 3);
    data_write(f.root, "cat/z.webp", "4444", 4);
    data_write(f.root, "cat/notes.txt", "no", 2);
    data_write(f.root, "cat/.hidden.jpg", "no", 2);
    data_write(f.root, "cat/jpg", "no", 2);
    data_write(f.root, "empty/readme", "no", 2);
    data_write(f.root, "labels.txt", "no", 2);
    assert_int_equal(open_it(&f), GML_OK);
    assert_int_equal(gml_dataset_count(f.dataset), 4);
    assert_int_equal(gml_dataset_n_classes(f.dataset), 3);
    assert_string_equal(gml_dataset_class_name(f.dataset, 0), "cat");
    assert_string_equal(gml_dataset_class_name(f.dataset, 1), "dog");
    assert_string_equal(gml_dataset_class_name(f.dataset, 2), "empty");
    const char *names[] = {"cat/z.webp", "dog/a.jpg", "dog/b.JPEG", "dog/deep/er/c.PnG"};
    const char *bytes[] = {"4444", "22", "1", "333"};
    for (uint32_t i = 0; i < 4; i++) {
        check_name(&f, i, names[i]);
        check_bytes(&f, i, bytes[i]);
        assert_int_equal(gml_dataset_class(f.dataset, i), i > 0);
    }
    end(&f);
}

static void a_flat_folder_has_no_classes(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    data_write(f.root, "b.png", "b", 1);
    data_write(f.root, "B.png", "B", 1);
    data_write(f.root, "a10.png", "10", 2);
    data_write(f.root, "a9.png", "9", 1);
    assert_int_equal(open_it(&f), GML_OK);
    assert_int_equal(gml_dataset_n_classes(f.dataset), 0);
    const char *names[] = {"B.png", "a10.png", "a9.png", "b.png"};
    for (uint32_t i = 0; i < 4; i++) {
        check_name(&f, i, names[i]);
        assert_int_equal(gml_dataset_class(f.dataset, i), -1);
    }
    end(&f);
}

/* Members of all tar dialects, with names too long for the plain header. */
static void shards_are_read_at_random(void **state)
{
    (void)state;
    static const char *const formats[] = {"ustar", "pax", "gnutar"};
    char deep[200];
    memset(deep, 'd', sizeof deep);
    memcpy(deep, "x/", 2);
    memcpy(deep + sizeof deep - 5, ".jpg", 5);
    for (size_t k = 0; k < 3; k++) {
        fixture f;
        begin(&f);
        struct archive *tar = data_begin_tar(f.root, "1.tar", formats[k]);
        data_add_member(tar, "./zebra/", NULL, 0);
        data_add_member(tar, "./zebra/1.jpg", "first", 5);
        data_add_member(tar, "zebra/1.cls", "0", 1);
        data_add_member(tar, k == 0 ? "x/d.jpg" : deep, "second", 6);
        data_add_member(tar, "zebra/0.jpg", "", 0); /* nothing in it */
        data_end_tar(tar);
        tar = data_begin_tar(f.root, "0.tar", formats[k]);
        gml_str large;
        gml_str_init(&large);
        for (int i = 0; i < 100000; i++)
            gml_str_putc(&large, (char)('a' + i % 7));
        data_add_member(tar, "ape/9.jpg", large.text, large.len);
        data_add_member(tar, "ape/10.jpg", "tail", 4);
        data_add_member(tar, "loose.jpg", "!", 1);
        data_end_tar(tar);
        assert_int_equal(open_it(&f), GML_OK);
        assert_int_equal(gml_dataset_count(f.dataset), 5);
        assert_int_equal(gml_dataset_n_shards(f.dataset), 2);
        assert_int_equal(gml_dataset_n_classes(f.dataset), 3);
        check_name(&f, 0, "0.tar:ape/9.jpg");
        check_name(&f, 3, "1.tar:zebra/1.jpg");
        check_bytes(&f, 4, "second");
        check_bytes(&f, 1, "tail");
        check_bytes(&f, 0, large.text);
        check_bytes(&f, 3, "first");
        const int64_t classes[] = {0, 0, -1, 2, 1}; /* ape, x, zebra */
        for (uint32_t i = 0; i < 5; i++)
            assert_int_equal(gml_dataset_class(f.dataset, i), classes[i]);
        gml_str_reset(&large);
        end(&f);
    }
}

static void check_refused(fixture *f, gml_status status, const char *words)
{
    assert_int_equal(open_it(f), status);
    assert_null(f->dataset);
    assert_non_null(strstr(gml_diags_print(&f->diags), words));
    end(f);
}

static void what_is_no_data_set_is_refused(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    check_refused(&f, GML_E_INVALID, "holds no pictures");
    begin(&f);
    data_write(f.root, "a/x.txt", "", 0);
    check_refused(&f, GML_E_INVALID, "holds no pictures");
    begin(&f);
    data_write(f.root, "a/x.jpg", "x", 1);
    data_write(f.root, "x.jpg", "x", 1);
    check_refused(&f, GML_E_INVALID, "holds 1 folders, 1 pictures and 0 tar files");
    begin(&f);
    data_write(f.root, "x.tar", "not a tar file at all, but some text", 36);
    check_refused(&f, GML_E_INVALID, "x.tar");
    begin(&f);
    data_files_remove(f.root);
    check_refused(&f, GML_E_IO, "cannot look into the folder");
}

/* Every prefix of a shard: an error, or a list whose members can all be read. */
static void shards_that_end_early_are_harmless(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    struct archive *tar = data_begin_tar(f.root, "s.tar", "pax");
    char bytes[700];
    memset(bytes, 'x', sizeof bytes);
    data_add_member(tar, "a/1.jpg", bytes, sizeof bytes);
    data_add_member(tar, "a/2.jpg", bytes, sizeof bytes);
    data_end_tar(tar);
    char path[128];
    snprintf(path, sizeof path, "%s/s.tar", f.root);
    for (off_t size = 5000; size >= 0; size -= 97) {
        assert_int_equal(truncate(path, size), 0);
        f.dataset = NULL;
        if (open_it(&f) != GML_OK)
            continue;
        for (uint32_t i = 0; i < gml_dataset_count(f.dataset); i++) {
            gml_picture_bytes out = {.error = ""};
            assert_int_equal(gml_dataset_read(f.dataset, i, &f.work, &out), GML_OK);
            assert_memory_equal(out.data, bytes, sizeof bytes);
        }
        gml_dataset_close(f.dataset);
    }
    f.dataset = NULL;
    end(&f);
}

static void changed_files_are_told(void **state)
{
    (void)state;
    fixture f;
    begin(&f);
    data_write(f.root, "a.jpg", "aaaa", 4);
    data_write(f.root, "b.jpg", "bbbb", 4);
    assert_int_equal(open_it(&f), GML_OK);
    char path[128];
    snprintf(path, sizeof path, "%s/a.jpg", f.root);
    remove(path);
    gml_picture_bytes out = {.error = ""};
    assert_int_equal(gml_dataset_read(f.dataset, 0, &f.work, &out), GML_E_IO);
    assert_non_null(strstr(out.error, "No such file"));
    mkdir(path, 0755);
    assert_int_equal(gml_dataset_read(f.dataset, 0, &f.work, &out), GML_E_INVALID);
    remove(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: must not wait */
    assert_int_equal(gml_dataset_read(f.dataset, 0, &f.work, &out), GML_E_INVALID);
    check_bytes(&f, 1, "bbbb");
    end(&f);

    begin(&f);
    struct archive *tar = data_begin_tar(f.root, "s.tar", "ustar");
    data_add_member(tar, "a/1.jpg", "1111", 4);
    data_add_member(tar, "a/2.jpg", "2222", 4);
    data_end_tar(tar);
    assert_int_equal(open_it(&f), GML_OK);
    snprintf(path, sizeof path, "%s/s.tar", f.root);
    assert_int_equal(truncate(path, 1400), 0);
    check_bytes(&f, 0, "1111");
    assert_int_equal(gml_dataset_read(f.dataset, 1, &f.work, &out), GML_E_INVALID);
    assert_string_equal(out.error, "the file has become shorter");
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folders_are_classes),
        cmocka_unit_test(a_flat_folder_has_no_classes),
        cmocka_unit_test(shards_are_read_at_random),
        cmocka_unit_test(what_is_no_data_set_is_refused),
        cmocka_unit_test(shards_that_end_early_are_harmless),
        cmocka_unit_test(changed_files_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
