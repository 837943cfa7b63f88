/* api/cubin_cache.c - cubins kept on disk, each in a file named by its key.
 *
 * A file, numbers little endian:
 *
 *   0  magic     "gemelcub"
 *   8  version   u64
 *  16  size      u64, of the cubin
 *  24  key       the file's name, again
 *  56  checksum  u64, of bytes 0..55, then the cubin
 *  64  the cubin
 */
#define _POSIX_C_SOURCE 200809L

#include "api/cubin_cache.h"

#include "base/file.h"
#include "base/map.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    GML_AT_VERSION = 8,
    GML_AT_SIZE = 16,
    GML_AT_KEY = 24,
    GML_AT_CHECKSUM = 56,
    GML_HEADER_SIZE = 64,
    GML_VERSION = 1,
};

#define GML_SUFFIX      ".entry"
#define GML_DIGITS      (2 * (size_t)GML_SHA256_SIZE)
#define GML_LITTER_LIFE 86400 /* seconds; whoever wrote so long is no more */

static const char magic[] = "gemelcub";

/* ---- the folder ---------------------------------------------------------------------------
 */

static const char *name_folder(gml_arena *arena, const char **out_folder)
{
    const char *named = getenv("GEMEL_CACHE");
    const char *caches = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (named && (*named == '\0' || strcmp(named, "none") == 0))
        return "GEMEL_CACHE says that there is to be no cache";
    if (named)
        *out_folder = gml_arena_text(arena, named, strlen(named));
    else if (caches && *caches == '/') /* a relative one is to be ignored */
        *out_folder = gml_arena_printf(arena, "%s/gemel", caches);
    else if (home && *home == '/')
        *out_folder = gml_arena_printf(arena, "%s/.cache/gemel", home);
    else
        return "none of GEMEL_CACHE, XDG_CACHE_HOME and HOME names a folder";
    return NULL;
}

/* With the folders that it is in. What cannot be made is missed when it is opened. */
static void make_folder(gml_arena *arena, const char *folder)
{
    char *path = gml_arena_text(arena, folder, strlen(folder));
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    (void)mkdir(path, 0700);
}

const char *gml_cubin_cache_open(gml_arena *arena, const char **out_folder)
{
    const char *folder = NULL;
    const char *why = name_folder(arena, &folder);
    struct stat info;
    if (why)
        return why;
    make_folder(arena, folder);
    if (stat(folder, &info) != 0)
        return gml_arena_printf(arena, "%s cannot be made: %s", folder, strerror(errno));
    if (!S_ISDIR(info.st_mode))
        return gml_arena_printf(arena, "%s is no folder", folder);
    if (info.st_uid != geteuid())
        return gml_arena_printf(arena, "%s belongs to somebody else", folder);
    if (info.st_mode & (S_IWGRP | S_IWOTH))
        return gml_arena_printf(arena, "others may write to %s", folder);
    *out_folder = folder;
    return NULL;
}

gml_cubin_place gml_cubin_cache_place(gml_arena *arena, const char *folder,
                                      const unsigned char key[GML_SHA256_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    char name[GML_DIGITS + 1] = "";
    gml_cubin_place place = {.folder = folder};
    for (size_t i = 0; i < GML_SHA256_SIZE; i++) {
        name[2 * i] = digits[key[i] >> 4];
        name[2 * i + 1] = digits[key[i] & 15];
    }
    memcpy(place.key, key, sizeof place.key);
    place.path = gml_arena_printf(arena, "%s/%s" GML_SUFFIX, folder, name);
    return place;
}

/* ---- a file -------------------------------------------------------------------------------
 */

static void put_number(unsigned char *at, uint64_t number)
{
    for (size_t i = 0; i < 8; i++)
        at[i] = (unsigned char)(number >> (8 * i));
}

/* The header of a file that holds these bytes. */
static void make_header(const gml_cubin_place *place, const void *cubin, size_t size,
                        unsigned char header[GML_HEADER_SIZE])
{
    memcpy(header, magic, GML_AT_VERSION);
    put_number(header + GML_AT_VERSION, GML_VERSION);
    put_number(header + GML_AT_SIZE, size);
    memcpy(header + GML_AT_KEY, place->key, sizeof place->key);
    uint64_t hash = gml_hash_bytes(header, GML_AT_CHECKSUM, 0);
    put_number(header + GML_AT_CHECKSUM, gml_hash_bytes(cubin, size, hash));
}

/* Reads `size` bytes, or fails. */
static bool read_bytes(int fd, void *bytes, size_t size)
{
    char *at = bytes;
    while (size != 0) {
        ssize_t n = read(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        size -= (size_t)n;
    }
    return true;
}

/* The bytes behind the header; malloc'ed, NULL when the file is not what it has to be. All of
 * the header is known beforehand but for the checksum, so that it is made and compared. */
static char *read_cubin(int fd, const gml_cubin_place *place, size_t *out_size)
{
    struct stat info;
    unsigned char found[GML_HEADER_SIZE];
    unsigned char wanted[GML_HEADER_SIZE];
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size <= GML_HEADER_SIZE ||
        (uint64_t)info.st_size > GML_CACHE_LIMIT)
        return NULL;
    size_t size = (size_t)info.st_size - GML_HEADER_SIZE;
    if (!read_bytes(fd, found, sizeof found) || memcmp(found, magic, GML_AT_VERSION) != 0)
        return NULL;
    char *cubin = malloc(size);
    if (cubin == NULL)
        return NULL;
    if (read_bytes(fd, cubin, size)) {
        make_header(place, cubin, size, wanted);
        *out_size = size;
        if (memcmp(found, wanted, sizeof found) == 0)
            return cubin;
    }
    free(cubin);
    return NULL;
}

bool gml_cubin_cache_find(const gml_cubin_place *place, gml_str *out)
{
    size_t size = 0;
    /* O_NONBLOCK: opening a pipe must not wait for a writer */
    int fd = open(place->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        if (errno == ELOOP)
            (void)unlink(place->path);
        return false;
    }
    char *cubin = read_cubin(fd, place, &size);
    if (cubin) {
        gml_str_append(out, cubin, size);
        (void)futimens(fd, NULL);
    } else {
        (void)unlink(place->path);
    }
    free(cubin);
    close(fd);
    return cubin != NULL;
}

/* ---- keeping within the limit -------------------------------------------------------------
 */

typedef struct entry {
    const char *name;
    uint64_t size;
    struct timespec used;
} entry;

typedef gml_vec(entry) entry_list;

static int compare_use(const void *a, const void *b)
{
    const entry *x = a;
    const entry *y = b;
    if (x->used.tv_sec != y->used.tv_sec)
        return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    if (x->used.tv_nsec != y->used.tv_nsec)
        return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Nothing is removed that has not a name of ours: somebody may have named a folder of his own.
 */
static bool is_ours(const char *name)
{
    return strspn(name, "0123456789abcdef") == GML_DIGITS &&
           strncmp(name + GML_DIGITS, GML_SUFFIX, strlen(GML_SUFFIX)) == 0;
}

/* Lists what is kept, and removes what processes left behind that were killed while writing. */
static void look_around(DIR *folder, gml_arena *arena, entry_list *list)
{
    time_t now = time(NULL);
    for (const struct dirent *found; (found = readdir(folder)) != NULL;) {
        const char *name = found->d_name;
        struct stat info;
        if (!is_ours(name) || fstatat(dirfd(folder), name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        entry item = {gml_arena_text(arena, name, strlen(name)), (uint64_t)info.st_size,
                      info.st_mtim};
        if (strlen(name) == GML_DIGITS + strlen(GML_SUFFIX))
            gml_push(arena, list, item);
        else if (now - info.st_mtim.tv_sec > GML_LITTER_LIFE)
            (void)unlinkat(dirfd(folder), name, 0);
    }
}

static void keep_within(const char *path, uint64_t limit, gml_arena *arena)
{
    entry_list list = {0};
    uint64_t all = 0;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return;
    look_around(folder, arena, &list);
    for (size_t i = 0; i < list.count; i++)
        all += list.items[i].size;
    if (all > limit)
        qsort(list.items, list.count, sizeof *list.items, compare_use);
    for (size_t i = 0; i < list.count && all > limit; i++) {
        (void)unlinkat(dirfd(folder), list.items[i].name, 0);
        all -= list.items[i].size;
    }
    closedir(folder);
}

const char *gml_cubin_cache_keep(const gml_cubin_place *place, const gml_str *cubin,
                                 uint64_t limit, gml_arena *arena)
{
    unsigned char header[GML_HEADER_SIZE];
    gml_writer writer;
    gml_diags diags;
    gml_diags_init(&diags, arena);
    if (limit < GML_HEADER_SIZE || cubin->len > limit - GML_HEADER_SIZE)
        return gml_arena_printf(arena, "%zu bytes are more than the cache may have",
                                cubin->len);
    make_header(place, cubin->text, cubin->len, header);
    gml_status status = gml_writer_open(&writer, place->path, &diags);
    if (status == GML_OK) {
        gml_writer_put(&writer, header, sizeof header);
        gml_writer_put(&writer, cubin->text, cubin->len);
        status = gml_writer_close(&writer, &diags);
    }
    if (status != GML_OK)
        return gml_arena_printf(arena, "%s: %s", place->path, diags.list.items[0].text);
    keep_within(place->folder, limit, arena);
    return NULL;
}
