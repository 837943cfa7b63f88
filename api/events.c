/* api/events.c - the log of a training. */
#define _POSIX_C_SOURCE 200809L

#include "api/events.h"

#include "api/events_file.h"
#include "base/file.h"
#include "base/str.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct log_file {
    char *path; /* malloc'ed */
    FILE *stream;
} log_file;

struct gml_log {
    log_file lines, events;
    gml_str text; /* of the record at hand */
};

typedef size_t (*keeper)(const void *bytes, size_t len, int64_t step);

static gml_status fail(const char *path, int error, gml_diags *diags)
{
    gml_loc loc = {.file = gml_arena_text(diags->arena, path, strlen(path))};
    return gml_fail(diags, GML_E_IO, loc, "cannot write: %s", strerror(error));
}

/* ---- lines --------------------------------------------------------------------------------
 */

static json_int_t step_of_line(const char *line, size_t len)
{
    json_error_t error;
    json_t *object = json_loadb(line, len, 0, &error);
    const json_t *step = json_object_get(object, "step");
    json_int_t number = json_is_integer(step) ? json_integer_value(step) : -1;
    json_decref(object);
    return number;
}

/* How many of the bytes are whole lines of steps up to `step`, from the front. */
static size_t keep_lines(const void *bytes, size_t len, int64_t step)
{
    const char *text = bytes;
    size_t kept = 0;
    while (kept < len) {
        const char *end = memchr(text + kept, '\n', len - kept);
        size_t size = end != NULL ? (size_t)(end - text) - kept : 0;
        json_int_t found = end != NULL ? step_of_line(text + kept, size) : -1;
        if (found < 0 || found > step)
            break;
        kept += size + 1;
    }
    return kept;
}

static void add_line(int64_t step, double time, const gml_scalar *scalars, size_t n,
                     gml_str *out)
{
    json_t *object = json_object();
    (void)json_object_set_new(object, "step", json_integer(step));
    (void)json_object_set_new(object, "time", json_real(time));
    for (size_t i = 0; i < n; i++)
        (void)json_object_set_new(object, scalars[i].name,
                                  isfinite(scalars[i].value) ? json_real(scalars[i].value)
                                                             : json_null());
    char *text = json_dumps(object, JSON_COMPACT);
    json_decref(object);
    if (text != NULL) {
        gml_str_puts(out, text);
        gml_str_putc(out, '\n');
    }
    free(text);
}

/* ---- files --------------------------------------------------------------------------------
 */

static gml_status cut(const char *path, int64_t step, keeper keep, gml_diags *diags)
{
    gml_file file;
    if (access(path, F_OK) != 0)
        return GML_OK;
    GML_TRY(gml_file_map(path, &file, diags));
    size_t size = file.size;
    size_t kept = step > 0 ? keep(file.data, size, step) : 0;
    gml_file_unmap(&file);
    return kept == size || truncate(path, (off_t)kept) == 0 ? GML_OK : fail(path, errno, diags);
}

static gml_status open_file(log_file *file, const char *folder, const char *name, int64_t step,
                            keeper keep, gml_diags *diags)
{
    const char *path = gml_arena_printf(diags->arena, "%s/%s", folder, name);
    GML_TRY(cut(path, step, keep, diags));
    file->path = malloc(strlen(path) + 1);
    if (file->path == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "out of memory");
    memcpy(file->path, path, strlen(path) + 1);
    file->stream = fopen(path, "ab");
    return file->stream != NULL ? GML_OK : fail(path, errno, diags);
}

static gml_status write_text(log_file *file, const gml_str *text, gml_diags *diags)
{
    errno = 0;
    if (fwrite(text->text, 1, text->len, file->stream) == text->len &&
        fflush(file->stream) == 0)
        return GML_OK;
    return fail(file->path, errno != 0 ? errno : EIO, diags);
}

static gml_status open_log(gml_log *log, const char *folder, int64_t step, gml_diags *diags)
{
    GML_TRY(open_file(&log->lines, folder, "log.jsonl", step, keep_lines, diags));
    GML_TRY(open_file(&log->events, folder, "events.out.tfevents.gemel", step, gml_events_keep,
                      diags));
    if (fseeko(log->events.stream, 0, SEEK_END) != 0)
        return fail(log->events.path, errno, diags);
    if (ftello(log->events.stream) > 0)
        return GML_OK;
    gml_events_begin((double)time(NULL), &log->text);
    return write_text(&log->events, &log->text, diags);
}

gml_status gml_log_open(const char *folder, int64_t step, gml_log **out_log, gml_diags *diags)
{
    gml_log *log = calloc(1, sizeof *log);
    if (log == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){0}, "out of memory");
    gml_str_init(&log->text);
    gml_status status = open_log(log, folder, step, diags);
    if (status != GML_OK)
        gml_log_close(log);
    else
        *out_log = log;
    return status;
}

gml_status gml_log_put(gml_log *log, int64_t step, double time, const gml_scalar *scalars,
                       size_t n, gml_diags *diags)
{
    log->text.len = 0;
    add_line(step, time, scalars, n, &log->text);
    GML_TRY(write_text(&log->lines, &log->text, diags));
    log->text.len = 0;
    gml_events_add(step, time, scalars, n, &log->text);
    return write_text(&log->events, &log->text, diags);
}

void gml_log_close(gml_log *log)
{
    if (log == NULL)
        return;
    log_file *files[] = {&log->lines, &log->events};
    for (int i = 0; i < 2; i++) {
        if (files[i]->stream != NULL)
            fclose(files[i]->stream);
        free(files[i]->path);
    }
    gml_str_reset(&log->text);
    free(log);
}
