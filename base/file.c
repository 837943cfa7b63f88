#define _DEFAULT_SOURCE /* madvise */
#define _POSIX_C_SOURCE 200809L

#include "base/file.h"

#include "base/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static gml_status fail_errno(gml_diags *diags, const char *path, const char *what, int error)
{
    gml_loc loc = {.file = gml_arena_text(diags->arena, path, strlen(path))};
    return gml_fail(diags, GML_E_IO, loc, "%s: %s", what, strerror(error));
}

gml_status gml_file_map_fd(int fd, const char *path, gml_file *out_file, gml_diags *diags)
{
    gml_loc loc = {.file = gml_arena_text(diags->arena, path, strlen(path))};
    struct stat info;
    if (fstat(fd, &info) != 0)
        return fail_errno(diags, path, "cannot inspect", errno);
    if (S_ISDIR(info.st_mode))
        return gml_fail(diags, GML_E_INVALID, loc, "is a directory, not a file");
    if (!S_ISREG(info.st_mode))
        return gml_fail(diags, GML_E_INVALID, loc, "is not a regular file");
    if (info.st_size == 0) {
        *out_file = (gml_file){.data = ""};
        return GML_OK;
    }
    size_t size = (size_t)info.st_size;
    void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return fail_errno(diags, path, "cannot map", errno);
    *out_file = (gml_file){.data = data, .size = size};
    return GML_OK;
}

gml_status gml_file_map(const char *path, gml_file *out_file, gml_diags *diags)
{
    /* O_NONBLOCK: opening a pipe must not wait for a writer; it means nothing to regular files.
     */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail_errno(diags, path, "cannot open", errno);
    gml_status status = gml_file_map_fd(fd, path, out_file, diags);
    close(fd);
    return status;
}

gml_status gml_file_zeros(size_t size, gml_file *out_file, gml_diags *diags)
{
    *out_file = (gml_file){.data = ""};
    if (size == 0)
        return GML_OK;
    /* every page read is the system's one page of zeros */
    void *data =
        mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "no room for %zu bytes of zeros",
                        size);
    *out_file = (gml_file){.data = data, .size = size};
    return GML_OK;
}

void gml_file_unmap(gml_file *file)
{
    if (file->size != 0) {
        union {
            const void *in;
            void *out;
        } data = {.in = file->data}; /* munmap's prototype forgets const */
        munmap(data.out, file->size);
    }
    *file = (gml_file){.data = ""};
}

bool gml_file_holds(const gml_file *file, const void *data, size_t size)
{
    uintptr_t start = (uintptr_t)file->data;
    uintptr_t at = (uintptr_t)data;
    return at >= start && size <= file->size && at - start <= file->size - size;
}

void gml_file_forget(const gml_file *file, const void *data, size_t size)
{
    if (size == 0 || !gml_file_holds(file, data, size))
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t before = (uintptr_t)data % page;
    union {
        const char *in;
        char *out;
    } at = {.in =
                (const char *)data - before}; /* nothing is written: the mapping is read-only */
    (void)madvise(at.out, size + before, MADV_DONTNEED);
}

/* ---- writing ------------------------------------------------------------------------------
 */

static char *concat(const char *a, const char *b)
{
    size_t len_a = strlen(a);
    size_t len_b = strlen(b);
    char *text = malloc(len_a + len_b + 1);
    if (text == NULL)
        gml_out_of_memory(len_a + len_b + 1);
    snprintf(text, len_a + len_b + 1, "%s%s", a, b);
    return text;
}

static void forget_writer(gml_writer *writer)
{
    gml_leftover_drop(writer->temp);
    free(writer->path);
    free(writer->temp);
    *writer = (gml_writer){.error = 0};
}

/* Creates a file that was not there: never another's, never through a link. */
static int create_beside(const char *path, char **out_temp)
{
    for (unsigned i = 0; i < 1000; i++) {
        char suffix[48];
        snprintf(suffix, sizeof suffix, ".%ld-%u.tmp", (long)getpid(), i);
        char *temp = concat(path, suffix);
        int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) {
            gml_leftover_add(temp);
            *out_temp = temp;
            return fd;
        }
        free(temp);
        if (errno != EEXIST)
            break;
    }
    return -1;
}

gml_status gml_writer_open(gml_writer *writer, const char *path, gml_diags *diags)
{
    *writer = (gml_writer){.path = NULL};
    char *temp = NULL;
    int fd = create_beside(path, &temp);
    if (fd < 0)
        return fail_errno(diags, path, "cannot create", errno);
    FILE *stream = fdopen(fd, "wb");
    if (stream == NULL) {
        int error = errno;
        close(fd);
        unlink(temp);
        gml_leftover_drop(temp);
        free(temp);
        return fail_errno(diags, path, "cannot create", error);
    }
    *writer = (gml_writer){.path = concat(path, ""), .temp = temp, .stream = stream};
    return GML_OK;
}

void gml_writer_put(gml_writer *writer, const void *bytes, size_t len)
{
    if (writer->stream == NULL || writer->error != 0 || len == 0)
        return;
    errno = 0;
    if (fwrite(bytes, 1, len, writer->stream) != len)
        writer->error = errno != 0 ? errno : EIO;
}

void gml_writer_put_at(gml_writer *writer, uint64_t at, const void *bytes, size_t len)
{
    if (writer->stream == NULL || writer->error != 0)
        return;
    if (fseeko(writer->stream, (off_t)at, SEEK_SET) != 0)
        writer->error = errno;
    gml_writer_put(writer, bytes, len);
    if (writer->error == 0 && fseeko(writer->stream, 0, SEEK_END) != 0)
        writer->error = errno;
}

bool gml_writer_settle(gml_writer *writer)
{
    if (writer->stream == NULL)
        GML_BUG("a writer is settled that is not open");
    if (writer->error == 0 &&
        (fflush(writer->stream) != 0 || fsync(fileno(writer->stream)) != 0))
        writer->error = errno;
    return writer->error == 0;
}

/* The directory that names `path` must reach the disk too, or a crash may lose the rename. */
static void sync_directory(const char *path)
{
    char *folder = concat(path, "");
    char *slash = strrchr(folder, '/');
    if (slash != NULL)
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* some file systems cannot: the rename itself has happened */
        close(fd);
    }
    free(folder);
}

gml_status gml_writer_close(gml_writer *writer, gml_diags *diags)
{
    if (writer->stream == NULL)
        GML_BUG("a writer is closed that is not open");
    (void)gml_writer_settle(writer);
    int error = writer->error;
    if (fclose(writer->stream) != 0 && error == 0)
        error = errno;
    if (error == 0 && rename(writer->temp, writer->path) != 0)
        error = errno;
    gml_status status = GML_OK;
    if (error != 0) {
        unlink(writer->temp);
        status = fail_errno(diags, writer->path, "cannot write", error);
    } else {
        sync_directory(writer->path);
    }
    forget_writer(writer);
    return status;
}

void gml_writer_cancel(gml_writer *writer)
{
    if (writer->stream == NULL)
        return;
    fclose(writer->stream);
    unlink(writer->temp);
    forget_writer(writer);
}

gml_status gml_file_write(const char *path, const void *bytes, size_t len, gml_diags *diags)
{
    gml_writer writer;
    GML_TRY(gml_writer_open(&writer, path, diags));
    gml_writer_put(&writer, bytes, len);
    return gml_writer_close(&writer, diags);
}
