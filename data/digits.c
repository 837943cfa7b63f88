/* data/digits.c - reads digits.csv.gz, and enlarges a digit. */
#include "data/digits.h"

#include "base/str.h"

#include <archive.h>
#include <archive_entry.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GML_MAX_CSV  ((size_t)1 << 26) /* bytes when decompressed */
#define GML_N_FIELDS (GML_DIGITS_SIDE * GML_DIGITS_SIDE + 1)

/* ---- reading ----------------------------------------------------------------------------- */

/* All bytes of the one member; 0 or -1. */
static int read_bytes(struct archive *in, gml_str *out)
{
    struct archive_entry *entry = NULL;
    char piece[8192];
    int found = archive_read_next_header(in, &entry);
    if (found != ARCHIVE_OK)
        return found == ARCHIVE_EOF ? 0 : -1;
    for (;;) {
        la_ssize_t n = archive_read_data(in, piece, sizeof piece);
        if (n <= 0)
            return (int)n;
        if (out->len + (size_t)n > GML_MAX_CSV)
            return -1;
        gml_str_append(out, piece, (size_t)n);
    }
}

static gml_status read_text(const char *path, gml_str *out, gml_diags *diags)
{
    struct archive *in = archive_read_new();
    if (in == NULL)
        return gml_fail(diags, GML_E_MEMORY, (gml_loc){.file = path}, "out of memory");
    archive_read_support_filter_gzip(in);
    archive_read_support_format_raw(in);
    archive_read_support_format_empty(in);
    gml_status status = GML_OK;
    if (archive_read_open_filename(in, path, 1 << 16) != ARCHIVE_OK || read_bytes(in, out) != 0)
        status = gml_fail(diags, GML_E_IO, (gml_loc){.file = path}, "cannot be read: %s",
                          archive_error_string(in) ? archive_error_string(in) : "too long");
    archive_read_free(in);
    return status;
}

/* One line, whose end is `end`. */
static bool parse_line(const char *at, const char *end, gml_digit *out)
{
    for (int i = 0; i < GML_N_FIELDS; i++) {
        int value = 0;
        bool is_last = i == GML_N_FIELDS - 1;
        const char *begin = at;
        for (; at < end && *at >= '0' && *at <= '9' && at - begin < 2; at++)
            value = 10 * value + (*at - '0');
        if (at == begin || value > (is_last ? 9 : 16))
            return false;
        if (is_last ? at != end : at == end || *at++ != ',')
            return false;
        if (is_last)
            out->class = (uint8_t)value;
        else
            out->pixels[i] = (uint8_t)value;
    }
    return true;
}

static gml_status parse(const gml_str *text, const char *path, gml_arena *arena,
                        gml_digits *out, gml_diags *diags)
{
    gml_vec(gml_digit) list = {NULL};
    int line = 1;
    for (const char *at = text->text; *at != '\0'; line++) {
        const char *end = at + strcspn(at, "\n");
        const char *stop = end > at && end[-1] == '\r' ? end - 1 : end;
        gml_digit digit = {.class = 0};
        if (!parse_line(at, stop, &digit) || list.count == GML_DIGITS_MAX)
            return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = path},
                            "line %d is not 64 pixels from 0 to 16 and a digit", line);
        gml_push(arena, &list, digit);
        at = *end == '\n' ? end + 1 : end;
    }
    if (list.count == 0)
        return gml_fail(diags, GML_E_INVALID, (gml_loc){.file = path}, "holds no digit");
    *out = (gml_digits){list.items, list.count};
    return GML_OK;
}

gml_status gml_digits_read(const char *path, gml_arena *arena, gml_digits *out_digits,
                           gml_diags *diags)
{
    gml_str text;
    gml_str_init(&text);
    gml_status status = read_text(path, &text, diags);
    if (status == GML_OK)
        status = parse(&text, path, arena, out_digits, diags);
    gml_str_reset(&text);
    return status;
}

/* ---- enlarging --------------------------------------------------------------------------- */

/* The pixel of a side before the centre of the enlarged pixel `i`, and how far behind it that
 * is; the border is repeated. */
static int place(int64_t i, int64_t size, double *out_share)
{
    double at = ((double)i + 0.5) * GML_DIGITS_SIDE / (double)size - 0.5;
    at = fmin(fmax(at, 0), GML_DIGITS_SIDE - 1);
    int first = at >= GML_DIGITS_SIDE - 1 ? GML_DIGITS_SIDE - 2 : (int)at;
    *out_share = at - first;
    return first;
}

void gml_digit_draw(const gml_digit *digit, int64_t size, uint8_t *out)
{
    for (int64_t p = 0; p < size * size; p++) {
        double s = 0;
        double t = 0;
        int column = place(p % size, size, &s);
        ptrdiff_t first = place(p / size, size, &t);
        const uint8_t *row = digit->pixels + first * GML_DIGITS_SIDE;
        const uint8_t *next = row + GML_DIGITS_SIDE;
        double above = row[column] + s * (row[column + 1] - row[column]);
        double below = next[column] + s * (next[column + 1] - next[column]);
        double value = (above + t * (below - above)) / 16;
        memset(out + 3 * p, (int)lrint(255 * value), 3);
    }
}
