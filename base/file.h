/* base/file.h - whole files: mapped for reading, written so that they appear whole or not at
 * all.
 *
 * A gml_file is a view of a mapping (or of nothing, when the file is empty); unmap it once.
 * Only regular files are mapped: a directory, pipe or device is refused, and opening one never
 * blocks. A mapping is read-only and private. A file that somebody truncates while it is mapped
 * ends the process with SIGBUS: gemel's own writers replace files and never shorten them.
 *
 * Failures are GML_E_IO, or GML_E_INVALID where the thing is no regular file, with the path and
 * the system's reason in a diagnostic. Thread-safe for different files.
 */
#ifndef GML_BASE_FILE_H
#define GML_BASE_FILE_H

#include "base/diag.h"

typedef struct gml_file {
    const void *data; /* never NULL after success */
    size_t size;
} gml_file;

/* `*out_file` is untouched on failure. */
GML_MUST_CHECK gml_status gml_file_map(const char *path, gml_file *out_file, gml_diags *diags);
/* The same for an open descriptor, which stays the caller's; `path` is for messages. */
GML_MUST_CHECK gml_status gml_file_map_fd(int fd, const char *path, gml_file *out_file,
                                          gml_diags *diags);
/* `size` zeros, which take no memory; GML_E_MEMORY. */
GML_MUST_CHECK gml_status gml_file_zeros(size_t size, gml_file *out_file, gml_diags *diags);
/* Leaves an empty view. Accepts one. */
void gml_file_unmap(gml_file *file);
/* Whether `size` bytes at `data` lie in the mapping. */
bool gml_file_holds(const gml_file *file, const void *data, size_t size);
/* Gives back the memory behind these bytes of the mapping, and behind others of their pages: it
 * is filled from the file again when somebody reads there. */
void gml_file_forget(const gml_file *file, const void *data, size_t size);

/* A file being written beside its final place:
 *
 *     gml_writer writer;
 *     GML_TRY(gml_writer_open(&writer, path, diags));
 *     gml_writer_put(&writer, bytes, len);      as often as needed; failures are kept
 *     GML_TRY(gml_writer_close(&writer, diags)); flushed to disk and renamed, or removed
 *
 * Several files that belong together are settled first, one after the other, and then closed:
 * what can go wrong has then gone wrong before the first of them has its name.
 */
typedef struct gml_writer {
    char *path; /* malloc'ed */
    char *temp; /* malloc'ed; the name while it is written */
    void *stream;
    int error; /* errno of the first failure */
} gml_writer;

GML_MUST_CHECK gml_status gml_writer_open(gml_writer *writer, const char *path,
                                          gml_diags *diags);
void gml_writer_put(gml_writer *writer, const void *bytes, size_t len);
/* Writes over what was put at byte `at`; the next bytes put go to the end, as before. */
void gml_writer_put_at(gml_writer *writer, uint64_t at, const void *bytes, size_t len);
/* All that was put is on the disk; false after a failure, of which closing speaks. */
bool gml_writer_settle(gml_writer *writer);
/* Makes the file appear under its name, in place of one that was there. After a failure nothing
 * has changed but that the temporary is gone. */
GML_MUST_CHECK gml_status gml_writer_close(gml_writer *writer, gml_diags *diags);
/* Gives up: removes the temporary. */
void gml_writer_cancel(gml_writer *writer);

/* One buffer as a file. */
GML_MUST_CHECK gml_status gml_file_write(const char *path, const void *bytes, size_t len,
                                         gml_diags *diags);

#endif
