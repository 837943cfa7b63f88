/* tests/unit/test_file.c - base/file.h: what may be mapped, and files that appear whole. */
#define _POSIX_C_SOURCE 200809L

#include "base/file.h"

#include <dirent.h>
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

typedef struct fixture {
    char folder[64];
    char path[128];
    gml_arena arena;
    gml_diags diags;
} fixture;

static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    const char *base = getenv("TMPDIR");
    snprintf(f->folder, sizeof f->folder, "%.40s/gemel-XXXXXX", base != NULL ? base : "/tmp");
    gml_arena_init(&f->arena);
    gml_diags_init(&f->diags, &f->arena);
    *state = f;
    return mkdtemp(f->folder) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", f->folder);
    int status = system(command);
    gml_arena_reset(&f->arena);
    free(f);
    return status;
}

static const char *name(fixture *f, const char *file)
{
    snprintf(f->path, sizeof f->path, "%s/%s", f->folder, file);
    return f->path;
}

static unsigned count_files(const fixture *f)
{
    unsigned n = 0;
    DIR *folder = opendir(f->folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(folder);
    return n;
}

static void only_regular_files_are_mapped(void **state)
{
    fixture *f = *state;
    gml_file file;
    assert_int_equal(gml_file_map(name(f, "missing"), &file, &f->diags), GML_E_IO);
    assert_int_equal(gml_file_map(f->folder, &file, &f->diags), GML_E_INVALID);
    mkfifo(name(f, "pipe"), 0600);
    assert_int_equal(gml_file_map(f->path, &file, &f->diags), GML_E_INVALID);
    assert_int_equal(gml_file_map("/dev/zero", &file, &f->diags), GML_E_INVALID);
    assert_non_null(strstr(f->diags.list.items[0].loc.file, "missing"));
}

static void written_files_read_back(void **state)
{
    fixture *f = *state;
    gml_file file;
    assert_int_equal(gml_file_write(name(f, "a"), "", 0, &f->diags), GML_OK);
    assert_int_equal(gml_file_map(f->path, &file, &f->diags), GML_OK);
    assert_int_equal(file.size, 0);
    assert_non_null(file.data);
    gml_file_unmap(&file);
    assert_int_equal(gml_file_write(name(f, "a"), "hello", 5, &f->diags), GML_OK);
    assert_int_equal(gml_file_map(f->path, &file, &f->diags), GML_OK);
    assert_int_equal(file.size, 5);
    assert_memory_equal(file.data, "hello", 5);
    gml_file_unmap(&file);
    gml_file_unmap(&file);
    assert_int_equal(count_files(f), 1);
}

static void a_failure_leaves_the_old_file(void **state)
{
    fixture *f = *state;
    gml_file file;
    gml_writer writer;
    assert_int_equal(gml_file_write(name(f, "a"), "old", 3, &f->diags), GML_OK);
    assert_int_equal(gml_writer_open(&writer, f->path, &f->diags), GML_OK);
    gml_writer_put(&writer, "new", 3);
    gml_writer_cancel(&writer);
    gml_writer_cancel(&writer);
    assert_int_equal(gml_writer_open(&writer, f->path, &f->diags), GML_OK);
    gml_writer_put(&writer, "new", 3);
    writer.error = 28; /* as if the disk had been full */
    assert_int_equal(gml_writer_close(&writer, &f->diags), GML_E_IO);
    assert_int_equal(gml_file_map(f->path, &file, &f->diags), GML_OK);
    assert_memory_equal(file.data, "old", 3);
    gml_file_unmap(&file);
    assert_int_equal(count_files(f), 1);
    assert_int_equal(gml_writer_open(&writer, name(f, "no/such/folder"), &f->diags), GML_E_IO);
}

static void links_are_replaced_and_not_followed(void **state)
{
    fixture *f = *state;
    gml_file file;
    struct stat info;
    assert_int_equal(gml_file_write(name(f, "victim"), "old", 3, &f->diags), GML_OK);
    assert_int_equal(symlink("victim", name(f, "link")), 0);
    assert_int_equal(gml_file_write(f->path, "new", 3, &f->diags), GML_OK);
    assert_int_equal(lstat(f->path, &info), 0);
    assert_true(S_ISREG(info.st_mode));
    assert_int_equal(gml_file_map(name(f, "victim"), &file, &f->diags), GML_OK);
    assert_memory_equal(file.data, "old", 3);
    gml_file_unmap(&file);
}

/* Whoever guesses the temporary's name puts a link there. */
static void a_temporary_is_new(void **state)
{
    fixture *f = *state;
    gml_file file;
    char temporary[64];
    assert_int_equal(gml_file_write(name(f, "victim"), "old", 3, &f->diags), GML_OK);
    snprintf(temporary, sizeof temporary, "out.%ld-0.tmp", (long)getpid());
    assert_int_equal(symlink("victim", name(f, temporary)), 0);
    assert_int_equal(gml_file_write(name(f, "out"), "new", 3, &f->diags), GML_OK);
    assert_int_equal(gml_file_map(name(f, "victim"), &file, &f->diags), GML_OK);
    assert_memory_equal(file.data, "old", 3);
    gml_file_unmap(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_regular_files_are_mapped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(written_files_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_leaves_the_old_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_are_replaced_and_not_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_temporary_is_new, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
