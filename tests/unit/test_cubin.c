/* tests/unit/test_cubin.c - api/cubin.h: scripts in place of ptxas, and a cache that others
 * damage. */
#define _DEFAULT_SOURCE
#define _POSIX_C_SOURCE 200809L

#include "api/command.h"
#include "api/cubin.h"
#include "api/cubin_cache.h"
#include "fake_ptxas.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#define INSTALLED "/usr/local/cuda/bin/ptxas"

static const char ptx[] = ".version 7.8\n.target sm_80\n.address_size 64\n"
                          ".visible .entry nothing()\n{\n    ret;\n}\n";

/* ---- Making one ----------------------------------------------------------------------------
 */

static void check_text(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("\"%s\" does not say \"%s\"", text ? text : "", part);
}

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

/* ---- Files that are not what was written ---------------------------------------------------
 */

typedef struct shelf {
    gml_arena arena;
    const char *folder;
    gml_cubin_place place; /* of key 7, 7, … */
    gml_str cubin, found;
} shelf;

static gml_cubin_place place_of(shelf *s, unsigned char digit)
{
    unsigned char key[GML_SHA256_SIZE];
    memset(key, digit, sizeof key);
    return gml_cubin_cache_place(&s->arena, s->folder, key);
}

static void shelf_init(shelf *s)
{
    *s = (shelf){.folder = NULL};
    gml_arena_init(&s->arena);
    gml_str_init(&s->cubin);
    gml_str_init(&s->found);
    assert_null(gml_cubin_cache_open(&s->arena, &s->folder));
    s->place = place_of(s, 7);
    gml_str_puts(&s->cubin, "what is kept");
}

static void shelf_reset(shelf *s)
{
    gml_str_reset(&s->cubin);
    gml_str_reset(&s->found);
    gml_arena_reset(&s->arena);
}

static void shelf_keep(shelf *s, const gml_cubin_place *place)
{
    assert_null(gml_cubin_cache_keep(place, &s->cubin, GML_CACHE_LIMIT, &s->arena));
}

static bool shelf_has(shelf *s, const gml_cubin_place *place)
{
    gml_str_reset(&s->found);
    bool found = gml_cubin_cache_find(place, &s->found);
    assert_int_equal(s->found.len, found ? s->cubin.len : 0);
    assert_memory_equal(s->found.text, s->cubin.text, s->found.len);
    return found;
}

/* What lies there now is missed and removed, and can be made again. */
static void check_refused(shelf *s)
{
    struct stat info;
    assert_false(shelf_has(s, &s->place));
    assert_int_equal(lstat(s->place.path, &info), -1);
    shelf_keep(s, &s->place);
    assert_true(shelf_has(s, &s->place));
}

static void write_over(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    fclose(file);
}

static void every_byte_counts(void **state)
{
    (void)state;
    shelf s;
    char bytes[256];
    shelf_init(&s);
    shelf_keep(&s, &s.place);
    FILE *file = fopen(s.place.path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    assert_int_equal(len, 64 + s.cubin.len);
    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
            write_over(s.place.path, bytes, len);
            check_refused(&s);
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
        }
    }
    for (size_t i = 0; i < len; i++) {
        write_over(s.place.path, bytes, i);
        check_refused(&s);
    }
    bytes[len] = 0;
    write_over(s.place.path, bytes, len + 1);
    check_refused(&s);
    write_over(s.place.path, bytes, len);
    assert_true(shelf_has(&s, &s.place));
    shelf_reset(&s);
}

static void another_s_file_is_refused(void **state)
{
    (void)state;
    shelf s;
    shelf_init(&s);
    gml_cubin_place other = place_of(&s, 8);
    shelf_keep(&s, &other);
    assert_int_equal(rename(other.path, s.place.path), 0);
    check_refused(&s);
    shelf_reset(&s);
}

static void what_is_no_file_is_removed(void **state)
{
    const fake *f = *state;
    char elsewhere[96];
    shelf s;
    shelf_init(&s);
    shelf_keep(&s, &s.place);
    snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", f->folder);
    assert_int_equal(rename(s.place.path, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, s.place.path), 0); /* to a good one */
    check_refused(&s);
    assert_int_equal(access(elsewhere, F_OK), 0);
    unlink(s.place.path);
    assert_int_equal(symlink("/nowhere", s.place.path), 0);
    check_refused(&s);
    unlink(s.place.path);
    assert_int_equal(mkfifo(s.place.path, 0600), 0);
    check_refused(&s);
    unlink(s.place.path); /* a folder is left alone, and the cubin is not kept */
    assert_int_equal(mkdir(s.place.path, 0700), 0);
    assert_false(shelf_has(&s, &s.place));
    check_text(gml_cubin_cache_keep(&s.place, &s.cubin, GML_CACHE_LIMIT, &s.arena),
               "Is a directory");
    assert_int_equal(fake_count_files(s.folder), 1);
    shelf_reset(&s);
}

/* As long as a disk, of which nothing is written, and a header that says the same. */
static void a_huge_file_is_not_read(void **state)
{
    (void)state;
    shelf s;
    unsigned char header[64] = "gemelcub";
    shelf_init(&s);
    header[8] = 1;
    memset(header + 16, 0xff, 8);
    write_over(s.place.path, header, sizeof header);
    check_refused(&s);
    write_over(s.place.path, header, sizeof header);
    assert_int_equal(truncate(s.place.path, (off_t)1 << 42), 0);
    check_refused(&s);
    shelf_reset(&s);
}

/* ---- Keeping within the limit --------------------------------------------------------------
 */

/* Used `age` seconds ago. */
static void make_old(const char *path, time_t age)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - age}, {.tv_sec = time(NULL) - age}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void the_oldest_goes_first(void **state)
{
    enum { N = 5 };
    (void)state;
    shelf s;
    shelf_init(&s);
    uint64_t size = 64 + s.cubin.len;
    gml_cubin_place places[N];
    for (size_t i = 0; i < N; i++) {
        places[i] = place_of(&s, (unsigned char)i);
        shelf_keep(&s, &places[i]);
        make_old(places[i].path, 1000 - 10 * (time_t)i);
    }
    assert_true(shelf_has(&s, &places[0])); /* which is now the newest */
    assert_null(gml_cubin_cache_keep(&s.place, &s.cubin, 4 * size + 1, &s.arena));
    assert_true(shelf_has(&s, &s.place));
    assert_true(shelf_has(&s, &places[0]));
    assert_false(shelf_has(&s, &places[1]));
    assert_false(shelf_has(&s, &places[2]));
    assert_true(shelf_has(&s, &places[3]));
    assert_true(shelf_has(&s, &places[4]));
    assert_null(gml_cubin_cache_keep(&s.place, &s.cubin, size, &s.arena));
    assert_int_equal(fake_count_files(s.folder), 1);
    assert_true(shelf_has(&s, &s.place));
    check_text(gml_cubin_cache_keep(&s.place, &s.cubin, size - 1, &s.arena), "are more than");
    check_text(gml_cubin_cache_keep(&s.place, &s.cubin, 5, &s.arena), "are more than");
    assert_true(shelf_has(&s, &s.place));
    shelf_reset(&s);
}

/* Of what is not ours nothing is removed, but of ours what nobody will finish. */
static void other_files_are_left_alone(void **state)
{
    (void)state;
    shelf s;
    shelf_init(&s);
    const char *const left[] = {
        "thesis.tex", "00.entry", "07.entry.tmp",
        "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ.entry"};
    for (size_t i = 0; i < 4; i++) {
        const char *path = gml_arena_printf(&s.arena, "%s/%s", s.folder, left[i]);
        write_over(path, path, strlen(path));
        make_old(path, 1000000);
    }
    const char *young = gml_arena_printf(&s.arena, "%s.1-0.tmp", s.place.path);
    const char *old = gml_arena_printf(&s.arena, "%s.2-0.tmp", s.place.path);
    write_over(young, "", 0);
    write_over(old, "", 0);
    make_old(young, 3600);
    make_old(old, 1000000);
    assert_null(gml_cubin_cache_keep(&s.place, &s.cubin, 64 + s.cubin.len, &s.arena));
    assert_int_equal(access(young, F_OK), 0);
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(fake_count_files(s.folder), 6);
    shelf_reset(&s);
}

/* A limit to the size of files is as good as a full disk. */
static void a_full_disk_is_no_error(void **state)
{
    (void)state;
    shelf s;
    int status = 0;
    shelf_init(&s);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit limit = {70, 70};
        signal(SIGXFSZ, SIG_IGN);
        bool limited = setrlimit(RLIMIT_FSIZE, &limit) == 0;
        const char *why = gml_cubin_cache_keep(&s.place, &s.cubin, GML_CACHE_LIMIT, &s.arena);
        _exit(limited && why && strstr(why, "File too large") ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(fake_count_files(s.folder), 0);
    shelf_reset(&s);
}

/* ---- Several at once -----------------------------------------------------------------------
 */

enum { GML_WORKERS = 4, GML_TURNS = 60 };

/* Writes and reads one place, over and over, as others do: it is there, and whole. Returns how
 * often it was not. */
static int work_at_it(void)
{
    shelf s;
    int n_bad = 0;
    shelf_init(&s);
    for (unsigned i = 0; i < 5000; i++)
        gml_str_puts(&s.cubin, " and so on");
    for (unsigned turn = 0; turn < GML_TURNS; turn++) {
        if (gml_cubin_cache_keep(&s.place, &s.cubin, GML_CACHE_LIMIT, &s.arena) != NULL)
            n_bad++;
        gml_str_reset(&s.found);
        if (!gml_cubin_cache_find(&s.place, &s.found) || s.found.len != s.cubin.len ||
            memcmp(s.found.text, s.cubin.text, s.cubin.len) != 0)
            n_bad++;
    }
    shelf_reset(&s);
    return n_bad;
}

static void processes_share_a_folder(void **state)
{
    const fake *f = *state;
    pid_t pids[GML_WORKERS];
    for (unsigned i = 0; i < GML_WORKERS; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0)
            _exit(work_at_it());
    }
    for (unsigned i = 0; i < GML_WORKERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    assert_int_equal(fake_count_files(f->cache), 1);
}

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

#define ROW(test) cmocka_unit_test_setup_teardown(test, fake_set_up, fake_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(it_is_assembled_once),
        ROW(whatever_is_different_has_its_own),
        ROW(no_ptxas_is_no_error),
        ROW(it_is_found_in_path),
        ROW(a_ptxas_may_fail),
        ROW(its_version_must_be_known),
        ROW(there_must_be_room_for_temporaries),
        ROW(what_hangs_is_killed),
        ROW(a_program_reads_nothing),
        ROW(without_a_cache_it_is_assembled_each_time),
        ROW(a_folder_of_others_is_refused),
        ROW(folders_have_standard_places),
        ROW(every_byte_counts),
        ROW(another_s_file_is_refused),
        ROW(what_is_no_file_is_removed),
        ROW(a_huge_file_is_not_read),
        ROW(the_oldest_goes_first),
        ROW(other_files_are_left_alone),
        ROW(a_full_disk_is_no_error),
        ROW(processes_share_a_folder),
        ROW(threads_share_everything),
        ROW(ptxas_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
