/* tests/unit/data_files.h - folders with pictures and shards, made for a test and removed. */
#ifndef GML_TESTS_DATA_FILES_H
#define GML_TESTS_DATA_FILES_H

#include "base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of its own for the test; data_files_remove takes it away. */
static inline char *data_files_create(void)
{
    static char path[64];
    snprintf(path, sizeof path, "/tmp/gemel_data_XXXXXX");
    return mkdtemp(path);
}

static inline int data_files_unlink(const char *path, const struct stat *info, int kind,
                                    struct FTW *walk)
{
    (void)info;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline void data_files_remove(const char *path)
{
    nftw(path, data_files_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* A PPM picture of `height` by `width` pixels that depends on `seed`. */
static inline gml_str data_picture(int height, int width, unsigned seed)
{
    gml_str text;
    gml_str_init(&text);
    gml_str_printf(&text, "P6\n%d %d\n255\n", width, height);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < 3 * width; x++)
            gml_str_putc(&text, (char)(seed * 37u + (unsigned)(y * x) * 7u + (unsigned)x));
    return text;
}

static inline void data_write(const char *root, const char *name, const void *bytes, size_t len)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *at = path + strlen(root) + 1; (at = strchr(at, '/')) != NULL; *at++ = '/') {
        *at = '\0';
        mkdir(path, 0755);
    }
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
        abort();
}

static inline void data_write_picture(const char *root, const char *name, int height, int width,
                                      unsigned seed)
{
    gml_str text = data_picture(height, width, seed);
    data_write(root, name, text.text, text.len);
    gml_str_reset(&text);
}

/* A member of a tar file; of directories the name ends with '/'. */
static inline void data_add_member(struct archive *tar, const char *name, const void *bytes,
                                   size_t len)
{
    struct archive_entry *entry = archive_entry_new();
    bool is_folder = name[strlen(name) - 1] == '/';
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, (la_int64_t)len);
    archive_entry_set_filetype(entry, is_folder ? AE_IFDIR : AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    if (archive_write_header(tar, entry) != ARCHIVE_OK ||
        (len > 0 && archive_write_data(tar, bytes, len) != (la_ssize_t)len))
        abort();
    archive_entry_free(entry);
}

static inline struct archive *data_begin_tar(const char *root, const char *name,
                                             const char *format)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    struct archive *tar = archive_write_new();
    if (archive_write_set_format_by_name(tar, format) != ARCHIVE_OK ||
        archive_write_open_filename(tar, path) != ARCHIVE_OK)
        abort();
    return tar;
}

static inline void data_end_tar(struct archive *tar)
{
    if (archive_write_close(tar) != ARCHIVE_OK)
        abort();
    archive_write_free(tar);
}

#endif
