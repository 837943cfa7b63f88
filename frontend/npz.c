/* frontend/npz.c - several .npy files in a zip, through libarchive. */
#include "base/file.h"
#include "frontend/npy.h"

#include <archive.h>
#include <archive_entry.h>
#include <string.h>

/* Deflate cannot make more than 1032 bytes out of one: what claims to is a trap. */
#define GML_MAX_INFLATION 1032

static gml_status fail_archive(gml_diags *diags, gml_loc loc, struct archive *archive)
{
    const char *why = archive_error_string(archive);
    return gml_fail(diags, GML_E_INVALID, loc, "is no sound .npz file: %s",
                    why != NULL ? why : "not a zip");
}

/* All bytes of the current entry; at most `limit`. */
static gml_status read_entry(struct archive *archive, size_t limit, gml_str *out,
                             gml_diags *diags, gml_loc loc)
{
    char chunk[1 << 14];
    for (;;) {
        la_ssize_t n = archive_read_data(archive, chunk, sizeof chunk);
        if (n == 0)
            return GML_OK;
        if (n < 0)
            return fail_archive(diags, loc, archive);
        if ((size_t)n > limit - out->len)
            return gml_fail(diags, GML_E_INVALID, loc,
                            "an array of the .npz file is larger than its zip can hold");
        gml_str_append(out, chunk, (size_t)n);
    }
}

static gml_status read_entries(struct archive *archive, size_t limit, gml_arena *arena,
                               gml_npz *npz, gml_diags *diags, gml_loc loc)
{
    struct archive_entry *entry;
    int result;
    while ((result = archive_read_next_header(archive, &entry)) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(entry);
        size_t len = name != NULL ? strlen(name) : 0;
        if (len >= 4 && memcmp(name + len - 4, ".npy", 4) == 0)
            len -= 4;
        gml_named_tensor item = {.name = gml_arena_text(arena, len != 0 ? name : "", len)};
        gml_loc at = loc;
        at.node = gml_arena_text(diags->arena, item.name, len);
        gml_str bytes;
        gml_str_init(&bytes);
        gml_status status = read_entry(archive, limit, &bytes, diags, at);
        if (status == GML_OK)
            status = gml_npy_parse(bytes.text, bytes.len, arena, &item.tensor, diags, at);
        gml_str_reset(&bytes);
        GML_TRY(status);
        gml_push(arena, &npz->list, item);
    }
    return result == ARCHIVE_EOF ? GML_OK : fail_archive(diags, loc, archive);
}

gml_status gml_npz_parse(const void *bytes, size_t len, gml_arena *arena, gml_npz *out_npz,
                         gml_diags *diags, gml_loc loc)
{
    struct archive *archive = archive_read_new();
    if (archive == NULL)
        return gml_fail(diags, GML_E_MEMORY, loc, "libarchive has no memory");
    gml_npz npz = {.list = {.count = 0}};
    size_t limit = len > SIZE_MAX / GML_MAX_INFLATION ? SIZE_MAX : len * GML_MAX_INFLATION;
    archive_read_support_format_zip(archive);
    gml_status status = GML_OK;
    if (archive_read_open_memory(archive, bytes, len) != ARCHIVE_OK)
        status = fail_archive(diags, loc, archive);
    else
        status = read_entries(archive, limit, arena, &npz, diags, loc);
    archive_read_free(archive);
    if (status == GML_OK)
        *out_npz = npz;
    return status;
}

gml_status gml_npz_read(const char *path, gml_arena *arena, gml_npz *out_npz, gml_diags *diags)
{
    gml_file file;
    GML_TRY(gml_file_map(path, &file, diags));
    gml_loc loc = {.file = gml_arena_text(diags->arena, path, strlen(path))};
    gml_status status = gml_npz_parse(file.data, file.size, arena, out_npz, diags, loc);
    gml_file_unmap(&file);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------
 */

static la_ssize_t put_bytes(struct archive *archive, void *context, const void *bytes,
                            size_t len)
{
    (void)archive;
    gml_writer_put(context, bytes, len); /* keeps its own failures */
    return (la_ssize_t)len;
}

static bool put_entry(struct archive *archive, const gml_named_tensor *item)
{
    gml_str bytes;
    gml_str name;
    gml_str_init(&bytes);
    gml_str_init(&name);
    gml_npy_format(&item->tensor, &bytes);
    gml_str_printf(&name, "%s.npy", item->name);
    struct archive_entry *entry = archive_entry_new();
    bool is_done = false;
    if (entry != NULL) {
        archive_entry_set_pathname(entry, name.text);
        archive_entry_set_size(entry, (la_int64_t)bytes.len);
        archive_entry_set_filetype(entry, AE_IFREG);
        archive_entry_set_perm(entry, 0644);
        archive_entry_set_mtime(entry, 315532800,
                                0); /* 1980: the same tensors, the same bytes */
        is_done = archive_write_header(archive, entry) == ARCHIVE_OK &&
                  archive_write_data(archive, bytes.text, bytes.len) == (la_ssize_t)bytes.len;
        archive_entry_free(entry);
    }
    gml_str_reset(&name);
    gml_str_reset(&bytes);
    return is_done;
}

static bool put_archive(gml_writer *writer, const gml_named_tensor *tensors, size_t n_tensors)
{
    struct archive *archive = archive_write_new();
    if (archive == NULL)
        return false;
    bool is_done = archive_write_set_format_zip(archive) == ARCHIVE_OK &&
                   archive_write_zip_set_compression_store(archive) == ARCHIVE_OK &&
                   archive_write_set_bytes_in_last_block(archive, 1) == ARCHIVE_OK &&
                   archive_write_open(archive, writer, NULL, put_bytes, NULL) == ARCHIVE_OK;
    for (size_t i = 0; i < n_tensors && is_done; i++)
        is_done = put_entry(archive, &tensors[i]);
    is_done = archive_write_close(archive) == ARCHIVE_OK && is_done;
    archive_write_free(archive);
    return is_done;
}

gml_status gml_npz_write(const char *path, const gml_named_tensor *tensors, size_t n_tensors,
                         gml_diags *diags)
{
    gml_writer writer;
    GML_TRY(gml_writer_open(&writer, path, diags));
    if (!put_archive(&writer, tensors, n_tensors)) {
        gml_writer_cancel(&writer);
        gml_loc loc = {.file = gml_arena_text(diags->arena, path, strlen(path))};
        return gml_fail(diags, GML_E_IO, loc, "cannot write the .npz file");
    }
    return gml_writer_close(&writer, diags);
}
