/* frontend/external.c - opens what a model points at, and nothing else. */
#define _GNU_SOURCE

#include "frontend/external.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GML_OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW)

void gml_externals_init(gml_externals *externals, gml_module *module, const char *folder,
                        gml_diags *diags)
{
    *externals = (gml_externals){.module = module, .folder = folder, .diags = diags};
    gml_map_init(&externals->files, &module->arena);
}

const char *gml_path_folder(gml_arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return ".";
    return gml_arena_text(arena, path, slash == path ? 1 : (size_t)(slash - path));
}

/* What no honest location has, whatever the kernel would say to it. */
static const char *find_fault(const char *location)
{
    if (*location == '\0')
        return "is empty";
    if (*location == '/')
        return "is absolute";
    if (strchr(location, '\\') != NULL || strchr(location, ':') != NULL)
        return "has a backslash or a colon";
    for (const char *at = location; *at != '\0';) {
        size_t len = strcspn(at, "/");
        if (len == 2 && at[0] == '.' && at[1] == '.')
            return "leaves the model's folder";
        at += len;
        at += *at == '/';
    }
    return NULL;
}

/* Without openat2: every folder on the way is opened by itself, never through a link. */
static int open_walking(int folder, const char *location)
{
    char part[256];
    int at = dup(folder);
    while (at >= 0) {
        location += strspn(location, "/");
        size_t len = strcspn(location, "/");
        if (len == 0 || len >= sizeof part) {
            close(at);
            errno = len == 0 ? EISDIR : ENAMETOOLONG;
            return -1;
        }
        memcpy(part, location, len);
        part[len] = '\0';
        location += len;
        bool is_last = location[strspn(location, "/")] == '\0';
        int next = openat(at, part, is_last ? GML_OPEN_FLAGS : GML_OPEN_FLAGS | O_DIRECTORY);
        int error = errno;
        close(at);
        errno = error;
        if (is_last)
            return next;
        at = next;
    }
    return -1;
}

static int open_beneath(int folder, const char *location)
{
    struct open_how how = {
        .flags = GML_OPEN_FLAGS,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, folder, location, &how, sizeof how);
    if (fd >= 0)
        return (int)fd;
    /* ENOSYS: an old kernel; EPERM: a sandbox that does not know the call. */
    return errno == ENOSYS || errno == EPERM ? open_walking(folder, location) : -1;
}

static gml_status map_checked(gml_externals *externals, int fd, const char *location,
                              gml_diags *diags, gml_loc loc)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return gml_fail(diags, GML_E_IO, loc, "cannot inspect external data \"%s\": %s",
                        location, strerror(errno));
    if (!S_ISREG(info.st_mode))
        return gml_fail(diags, GML_E_INVALID, loc, "external data \"%s\" is not a regular file",
                        location);
    if (info.st_nlink > 1 && !externals->allow_hard_links) {
        (void)gml_fail(diags, GML_E_INVALID, loc,
                       "external data \"%s\" is a file with %lu names (hard links)", location,
                       (unsigned long)info.st_nlink);
        gml_note(diags, "copy it, or allow hard links");
        return GML_E_INVALID;
    }
    gml_file file;
    GML_TRY(gml_file_map_fd(fd, location, &file, diags));
    gml_map_set(&externals->files, location, gml_module_own_file(externals->module, &file));
    return GML_OK;
}

static gml_status map_location(gml_externals *externals, const char *location, gml_diags *diags,
                               gml_loc loc)
{
    if (externals->folder == NULL)
        return gml_fail(diags, GML_E_INVALID, loc,
                        "external data \"%s\", but the model has no folder", location);
    const char *fault = find_fault(location);
    if (fault != NULL)
        return gml_fail(diags, GML_E_INVALID, loc, "the location of external data, \"%s\", %s",
                        location, fault);
    int folder = open(externals->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return gml_fail(diags, GML_E_IO, loc, "cannot open the folder %s: %s",
                        externals->folder, strerror(errno));
    int fd = open_beneath(folder, location);
    int error = errno;
    close(folder);
    if (fd < 0 && (error == ELOOP || error == EXDEV || error == ENOTDIR))
        return gml_fail(
            diags, GML_E_INVALID, loc,
            "external data \"%s\" is reached through a symbolic link, or leaves the "
            "model's folder",
            location);
    if (fd < 0)
        return gml_fail(diags, GML_E_IO, loc, "cannot open external data \"%s\": %s", location,
                        strerror(error));
    gml_status status = map_checked(externals, fd, location, diags, loc);
    close(fd);
    return status;
}

/* Digits only: no sign, no space, no overflow. */
static bool parse_size(const char *text, uint64_t *out_value)
{
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return false;
    }
    *out_value = value;
    return true;
}

enum { GML_LOCATION, GML_OFFSET, GML_LENGTH, GML_CHECKSUM, GML_BASEPATH, GML_N_KEYS };

static gml_status read_entries(const gml_external_entry *entries, size_t n_entries,
                               const char *values[GML_N_KEYS], gml_diags *diags, gml_loc loc)
{
    static const char *const keys[GML_N_KEYS] = {"location", "offset", "length", "checksum",
                                                 "basepath"};
    for (size_t i = 0; i < n_entries; i++) {
        const char *key = entries[i].key != NULL ? entries[i].key : "";
        unsigned k = 0;
        while (k < GML_N_KEYS && strcmp(key, keys[k]) != 0)
            k++;
        if (k == GML_N_KEYS)
            return gml_fail(diags, GML_E_INVALID, loc,
                            "external data has an unknown key \"%s\"", key);
        if (values[k] != NULL)
            return gml_fail(diags, GML_E_INVALID, loc, "external data has two keys \"%s\"",
                            key);
        values[k] = entries[i].value != NULL ? entries[i].value : "";
    }
    return GML_OK;
}

gml_status gml_external_find(gml_externals *externals, const gml_external_entry *entries,
                             size_t n_entries, size_t size, const void **out_data, gml_loc loc)
{
    gml_diags *diags = externals->diags;
    const char *values[GML_N_KEYS] = {NULL};
    GML_TRY(read_entries(entries, n_entries, values, diags, loc));
    const char *location = values[GML_LOCATION];
    if (location == NULL)
        return gml_fail(diags, GML_E_INVALID, loc, "external data has no location");
    uint64_t offset = 0;
    uint64_t length = size;
    if (values[GML_OFFSET] != NULL && !parse_size(values[GML_OFFSET], &offset))
        return gml_fail(diags, GML_E_INVALID, loc,
                        "the offset of external data, \"%s\", is no size", values[GML_OFFSET]);
    if (values[GML_LENGTH] != NULL && !parse_size(values[GML_LENGTH], &length))
        return gml_fail(diags, GML_E_INVALID, loc,
                        "the length of external data, \"%s\", is no size", values[GML_LENGTH]);
    if (length != size)
        return gml_fail(diags, GML_E_INVALID, loc,
                        "a tensor has %llu bytes of external data where its shape needs %zu",
                        (unsigned long long)length, size);
    gml_file *file = gml_map_find(&externals->files, location);
    if (file == NULL) {
        GML_TRY(map_location(externals, location, diags, loc));
        file = gml_map_find(&externals->files, location);
    }
    if (offset > file->size || size > file->size - offset)
        return gml_fail(diags, GML_E_INVALID, loc,
                        "external data from %llu on, %zu bytes, is outside \"%s\" (%zu bytes)",
                        (unsigned long long)offset, size, location, file->size);
    *out_data = (const char *)file->data + offset;
    return GML_OK;
}
