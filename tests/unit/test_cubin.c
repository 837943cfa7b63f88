/* tests/unit/test_cubin.c - api/cubin.h: scripts in place of ptxas, and where cubins are kept.
 */
#define _POSIX_C_SOURCE 200809L

#include "api/command.h"
#include "api/cubin.h"
#include "fake_ptxas.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>

#define INSTALLED "/usr/local/cuda/bin/ptxas"

static const char ptx[] = ".version 7.8\n.target sm_80\n.address_size 64\n"
                          ".visible .entry nothing()\n{\n    ret;\n}\n";

/* ---- Making one ----------------------------------------------------------------------------
 */

/* `note` is in what is said. What comes is what FAKE_COPIES makes of `text`. */
static void check_made(const char *text, const char *architecture, gml_cubin_origin origin,
                       const char *note)
{
    gml_cubin cubin;
    gml_cubin_make(text, strlen(text), architecture, &cubin);
    check_text(cubin.note.text, note);
    assert_int_equal(cubin.origin, origin);
    if (origin == GML_CUBIN_NONE) {
        assert_int_equal(cubin.image.len, 0);
    } else {
        assert_int_equal(cubin.image.len, 4 + strlen(text));
        assert_memory_equal(cubin.image.text, "\177ELF", 4);
        assert_memory_equal(cubin.image.text + 4, text, strlen(text));
    }
    gml_cubin_reset(&cubin);
}

static void it_is_assembled_once(void **state)
{
    const fake *f = *state;
    check_made(ptx, "sm_90a", GML_CUBIN_ASSEMBLED, "bytes for sm_90a, assembled by");
    check_made(ptx, "sm_90a", GML_CUBIN_CACHED, f->cache);
    check_made(ptx, "sm_90a", GML_CUBIN_CACHED, "bytes for sm_90a from");
    assert_int_equal(fake_count_calls(f), 1);
    assert_int_equal(fake_count_files(f->cache), 1);
    struct stat info;
    assert_int_equal(stat(f->cache, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
}

static void whatever_is_different_has_its_own(void **state)
{
    const fake *f = *state;
    check_made(ptx, "sm_90a", GML_CUBIN_ASSEMBLED, "");
    check_made(ptx + 1, "sm_90a", GML_CUBIN_ASSEMBLED, "");
    check_made(ptx, "sm_100", GML_CUBIN_ASSEMBLED, "");
    fake_write(f, "the second", FAKE_COPIES);
    check_made(ptx, "sm_90a", GML_CUBIN_ASSEMBLED, "");
    check_made(ptx, "sm_100", GML_CUBIN_ASSEMBLED, "");
    check_made(ptx, "sm_90a", GML_CUBIN_CACHED, "");
    fake_write(f, "the first", FAKE_COPIES);
    check_made(ptx, "sm_90a", GML_CUBIN_CACHED, "");
    assert_int_equal(fake_count_calls(f), 5);
}

static void no_ptxas_is_no_error(void **state)
{
    const fake *f = *state;
    setenv("GEMEL_PTXAS", "none", 1);
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "GEMEL_PTXAS says");
    setenv("GEMEL_PTXAS", "", 1);
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "GEMEL_PTXAS says");
    setenv("GEMEL_PTXAS", f->folder, 1);
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "is no program");
    setenv("GEMEL_PTXAS", "/nowhere/ptxas", 1);
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "/nowhere/ptxas is no program");
    setenv("GEMEL_PTXAS", "no-such-ptxas", 1);
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "no-such-ptxas is no program");
    assert_int_equal(fake_count_files(f->cache), 0);
}

static void it_is_found_in_path(void **state)
{
    const fake *f = *state;
    char path[1024];
    char before[768];
    snprintf(before, sizeof before, "%s", getenv("PATH"));
    unsetenv("GEMEL_PTXAS");
    snprintf(path, sizeof path, ":relative:/nowhere:%s:%s", f->folder, before);
    setenv("PATH", path, 1);
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, f->ptxas);
    setenv("GEMEL_PTXAS", "ptxas", 1);
    check_made(ptx, "sm_80", GML_CUBIN_CACHED, "");
    int here = open(".", O_RDONLY | O_DIRECTORY); /* not in the current folder */
    assert_int_equal(chdir(f->folder), 0);
    setenv("PATH", ".::", 1);
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "ptxas is no program");
    setenv("PATH", before, 1);
    assert_int_equal(fchdir(here), 0);
    close(here);
}

static void a_ptxas_may_fail(void **state)
{
    static const struct {
        const char *action, *note;
    } cases[] = {
        {"echo 'ptxas fatal: no sm_5' >&2; echo more >&2; exit 3",
         "failed: ptxas fatal: no sm_5"},
        {"exit 7", "failed with status 7"},
        {"printf '\\177ELF and so on' >\"$4\"; exit 1", "failed with status 1"},
        {"kill -9 $$", "was ended by signal 9"},
        {"true", "leaves no cubin"},
        {": >\"$4\"", "leaves 0 bytes"},
        {"cp \"$5\" \"$4\"", "which are no cubin"},
        {"printf '\\177ELF' >\"$4\"", "leaves 4 bytes"},
        {"mkfifo \"$4\"", "is not a regular file"},
        {"rm -f \"$5\"", "leaves no cubin"},
    };
    const fake *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fake_write(f, "the first", cases[i].action);
        check_made(ptx, "sm_80", GML_CUBIN_NONE, cases[i].note);
        assert_int_equal(fake_count_files(f->cache), 0);
        assert_int_equal(fake_count_files(f->temporary), 0);
    }
    fake_write(f, "", FAKE_COPIES); /* a line of nothing is something */
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "");
}

static void its_version_must_be_known(void **state)
{
    const fake *f = *state;
    FILE *file = fopen(f->ptxas, "w");
    assert_non_null(file);
    fputs("#!/bin/sh\n[ \"$1\" = --version ] && [ -e \"$0.works\" ] && echo fake\nexit 0\n",
          file);
    fclose(file);
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "does not say its version");
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "does not say its version");
    fake_run("touch '%s.works'", f->ptxas); /* a failure is not remembered */
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "leaves no cubin");
    fake_run("rm '%s.works'", f->ptxas); /* an answer is */
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "leaves no cubin");
    file = fopen(f->ptxas, "w");
    assert_non_null(file);
    fputs("#!/no/such/shell\n", file);
    fclose(file);
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "cannot be run: No such file");
}

static void there_must_be_room_for_temporaries(void **state)
{
    const fake *f = *state;
    setenv("TMPDIR", "/proc/no/such", 1);
    check_made(ptx, "sm_80", GML_CUBIN_NONE, "cannot be made: ");
    setenv("TMPDIR", "relative", 1); /* as if it were not set */
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "");
    setenv("TMPDIR", f->temporary, 1);
}

static void what_hangs_is_killed(void **state)
{
    const fake *f = *state;
    const char *const argv[] = {"sleep", "100", NULL};
    char errors[96];
    gml_arena arena;
    time_t start = time(NULL);
    snprintf(errors, sizeof errors, "%s/errors", f->folder);
    gml_arena_init(&arena);
    gml_command command = {.argv = argv, .errors = errors, .seconds = 1};
    check_text(gml_command_run(&command, &arena), "was not done after 1 s");
    assert_true(time(NULL) - start < 60);
    gml_arena_reset(&arena);
}

static void a_program_reads_nothing(void **state)
{
    const fake *f = *state;
    char errors[96];
    const char *const argv[] = {"sh", "-c", "[ -z \"$(cat)\" ]", NULL};
    gml_arena arena;
    snprintf(errors, sizeof errors, "%s/errors", f->folder);
    gml_arena_init(&arena);
    gml_command command = {.argv = argv, .errors = errors};
    assert_null(gml_command_run(&command, &arena));
    gml_arena_reset(&arena);
}

/* ---- The cache's folder --------------------------------------------------------------------
 */

static void without_a_cache_it_is_assembled_each_time(void **state)
{
    const fake *f = *state;
    char path[128];
    setenv("GEMEL_CACHE", "none", 1);
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "not kept: GEMEL_CACHE says");
    setenv("GEMEL_CACHE", "", 1);
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "not kept: GEMEL_CACHE says");
    setenv("GEMEL_CACHE", "/proc/gemel", 1);
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "/proc/gemel cannot be made: ");
    setenv("GEMEL_CACHE", f->ptxas, 1);
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "is no folder");
    snprintf(path, sizeof path, "%s/cache", f->ptxas);
    setenv("GEMEL_CACHE", path, 1);
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "cannot be made: Not a directory");
    assert_int_equal(fake_count_calls(f), 5);
}

static void a_folder_of_others_is_refused(void **state)
{
    const fake *f = *state;
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "");
    assert_int_equal(chmod(f->cache, 0720), 0);
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "not kept: others may write to");
    assert_int_equal(chmod(f->cache, 0702), 0);
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "not kept: others may write to");
    assert_int_equal(chmod(f->cache, 0755), 0);
    check_made(ptx, "sm_80", GML_CUBIN_CACHED, "");
    if (geteuid() == 0) { /* only then can it be given away */
        assert_int_equal(chown(f->cache, 1, 1), 0);
        check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "belongs to somebody else");
        assert_int_equal(chown(f->cache, 0, 0), 0);
    } else { /* and only else does this keep one from writing */
        assert_int_equal(chmod(f->cache, 0500), 0);
        check_made(ptx, "sm_80", GML_CUBIN_CACHED, "");
        check_made(ptx, "sm_100", GML_CUBIN_ASSEMBLED, "not kept: ");
        assert_int_equal(chmod(f->cache, 0700), 0);
    }
}

static void folders_have_standard_places(void **state)
{
    const fake *f = *state;
    char path[128];
    unsetenv("GEMEL_CACHE");
    unsetenv("XDG_CACHE_HOME");
    setenv("HOME", f->folder, 1);
    snprintf(path, sizeof path, "%s/.cache/gemel", f->folder);
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "");
    check_made(ptx, "sm_80", GML_CUBIN_CACHED, path);
    setenv("XDG_CACHE_HOME", "relative", 1);
    check_made(ptx, "sm_80", GML_CUBIN_CACHED, path);
    snprintf(path, sizeof path, "%s/xdg", f->folder);
    setenv("XDG_CACHE_HOME", path, 1);
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "");
    snprintf(path, sizeof path, "%s/xdg/gemel/", f->folder);
    check_made(ptx, "sm_80", GML_CUBIN_CACHED, path);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    check_made(ptx, "sm_80", GML_CUBIN_ASSEMBLED, "not kept: none of GEMEL_CACHE");
}

/* ---- Several at once -----------------------------------------------------------------------
 */

enum { GML_WORKERS = 4 };

typedef struct thread {
    pthread_t handle;
    unsigned number;
    unsigned n_bad;
} thread;

/* Half of what a thread makes another one makes, too. */
static void *make_many(void *argument)
{
    thread *t = argument;
    for (unsigned i = 0; i < 8; i++) {
        char text[32];
        gml_cubin cubin;
        snprintf(text, sizeof text, "// %u\n", i + 4 * t->number);
        gml_cubin_make(text, strlen(text), "sm_80", &cubin);
        t->n_bad += cubin.origin == GML_CUBIN_NONE || cubin.image.len != 4 + strlen(text) ||
                    memcmp(cubin.image.text + 4, text, strlen(text)) != 0;
        gml_cubin_reset(&cubin);
    }
    return NULL;
}

static void threads_share_everything(void **state)
{
    const fake *f = *state;
    thread threads[GML_WORKERS] = {{.number = 0}};
    for (unsigned i = 0; i < GML_WORKERS; i++) {
        threads[i].number = i;
        assert_int_equal(pthread_create(&threads[i].handle, NULL, make_many, &threads[i]), 0);
    }
    for (unsigned i = 0; i < GML_WORKERS; i++) {
        assert_int_equal(pthread_join(threads[i].handle, NULL), 0);
        assert_int_equal(threads[i].n_bad, 0);
    }
    assert_int_equal(fake_count_files(f->cache), 4 * (GML_WORKERS - 1) + 8);
}

/* ---- The real one --------------------------------------------------------------------------
 */

static void ptxas_itself(void **state)
{
    static const char *const architectures[] = {"sm_80", "sm_90a", "sm_100"};
    enum { AT_MACHINE = 18, MACHINE_CUDA = 190 };
    (void)state;
    if (access(INSTALLED, X_OK) != 0)
        skip();
    setenv("GEMEL_PTXAS", INSTALLED, 1);
    for (size_t i = 0; i < 3; i++) {
        for (int again = 0; again < 2; again++) {
            gml_cubin cubin;
            gml_cubin_make(ptx, strlen(ptx), architectures[i], &cubin);
            check_text(cubin.note.text, architectures[i]);
            assert_int_equal(cubin.origin, again ? GML_CUBIN_CACHED : GML_CUBIN_ASSEMBLED);
            assert_true(cubin.image.len > 200);
            assert_memory_equal(cubin.image.text, "\177ELF", 4);
            assert_int_equal((unsigned char)cubin.image.text[AT_MACHINE], MACHINE_CUDA);
            gml_cubin_reset(&cubin);
        }
    }
    gml_cubin cubin;
    gml_cubin_make("nonsense", 8, "sm_80", &cubin);
    assert_int_equal(cubin.origin, GML_CUBIN_NONE);
    check_text(cubin.note.text, "failed: ptxas ");
    gml_cubin_reset(&cubin);
    gml_cubin_make(ptx, strlen(ptx), "sm_5", &cubin);
    assert_int_equal(cubin.origin, GML_CUBIN_NONE);
    check_text(cubin.note.text, "'sm_5'");
    gml_cubin_reset(&cubin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_ROW(it_is_assembled_once),
        FAKE_ROW(whatever_is_different_has_its_own),
        FAKE_ROW(no_ptxas_is_no_error),
        FAKE_ROW(it_is_found_in_path),
        FAKE_ROW(a_ptxas_may_fail),
        FAKE_ROW(its_version_must_be_known),
        FAKE_ROW(there_must_be_room_for_temporaries),
        FAKE_ROW(what_hangs_is_killed),
        FAKE_ROW(a_program_reads_nothing),
        FAKE_ROW(without_a_cache_it_is_assembled_each_time),
        FAKE_ROW(a_folder_of_others_is_refused),
        FAKE_ROW(folders_have_standard_places),
        FAKE_ROW(threads_share_everything),
        FAKE_ROW(ptxas_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
