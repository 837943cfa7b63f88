/* tests/unit/test_cubin_cache.c - api/cubin_cache.h: files that others damage, that are too
 * many, that several processes write. */
#define _POSIX_C_SOURCE 200809L

#include "api/cubin_cache.h"
#include "fake_ptxas.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

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
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
        write_over(s.place.path, bytes, len);
        check_refused(&s);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAKE_ROW(every_byte_counts),          FAKE_ROW(another_s_file_is_refused),
        FAKE_ROW(what_is_no_file_is_removed), FAKE_ROW(a_huge_file_is_not_read),
        FAKE_ROW(the_oldest_goes_first),      FAKE_ROW(other_files_are_left_alone),
        FAKE_ROW(a_full_disk_is_no_error),    FAKE_ROW(processes_share_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
