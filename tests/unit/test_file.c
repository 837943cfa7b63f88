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

static void bytes_may_be_written_over(void **state)
{
    fixture *f = *state;
    gml_file file;
    gml_writer writer;
    assert_int_equal(gml_writer_open(&writer, name(f, "a"), &f->diags), GML_OK);
    gml_writer_put(&writer, "head....", 8);
    gml_writer_put(&writer, "body", 4);
    gml_writer_put_at(&writer, 4, "size", 4);
    gml_writer_put(&writer, "tail", 4);
    assert_true(gml_writer_settle(&writer));
    assert_int_equal(gml_file_map(writer.temp, &file, &f->diags), GML_OK);
    assert_int_equal(file.size, 16); /* on the disk, without its name yet */
    gml_file_unmap(&file);
    assert_int_equal(gml_file_map(f->path, &file, &f->diags), GML_E_IO);
    assert_int_equal(gml_writer_close(&writer, &f->diags), GML_OK);
    assert_int_equal(gml_file_map(f->path, &file, &f->diags), GML_OK);
    assert_memory_equal(file.data, "headsizebodytail", 16);
    gml_file_unmap(&file);
    assert_int_equal(gml_writer_open(&writer, f->path, &f->diags), GML_OK);
    writer.error = 28; /* as if the disk had been full */
    gml_writer_put_at(&writer, 0, "x", 1);
    assert_false(gml_writer_settle(&writer));
    gml_writer_cancel(&writer);
    assert_int_equal(count_files(f), 1);
}

/* Whether the page at `data` is in this process's memory, by /proc/self/pagemap. */
static bool is_present(const void *data)
{
    uint64_t entry = 0;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    FILE *map = fopen("/proc/self/pagemap", "rb");
    bool read = map && fseek(map, (long)((uintptr_t)data / page * 8), SEEK_SET) == 0 &&
                fread(&entry, 8, 1, map) == 1;
    if (map)
        fclose(map);
    return !read || entry >> 63 != 0;
}

static void pages_are_forgotten_and_come_back(void **state)
{
    enum { SIZE = 1 << 20 };
    fixture *f = *state;
    gml_file file;
    char *bytes = malloc(SIZE);
    memset(bytes, 7, SIZE);
    assert_int_equal(gml_file_write(name(f, "a"), bytes, SIZE, &f->diags), GML_OK);
    assert_int_equal(gml_file_map(f->path, &file, &f->diags), GML_OK);
    const char *data = file.data;
    assert_true(gml_file_holds(&file, data, SIZE));
    assert_true(gml_file_holds(&file, data + SIZE - 1, 1));
    assert_false(gml_file_holds(&file, data + 1, SIZE));
    assert_false(gml_file_holds(&file, data - 1, 1));
    assert_false(gml_file_holds(&file, bytes, 1));
    assert_memory_equal(data, bytes, SIZE);
    assert_true(is_present(data + SIZE / 2));
    gml_file_forget(&file, data + 10000, SIZE - 10000);
    assert_false(is_present(data + SIZE / 2));
    assert_memory_equal(data, bytes, SIZE);
    gml_file_forget(&file, bytes, SIZE); /* not the file's: nothing happens */
    assert_int_equal(bytes[SIZE / 2], 7);
    gml_file_unmap(&file);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_regular_files_are_mapped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(written_files_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_leaves_the_old_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(links_are_replaced_and_not_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_temporary_is_new, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bytes_may_be_written_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(pages_are_forgotten_and_come_back, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
