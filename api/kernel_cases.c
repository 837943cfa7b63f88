/* api/kernel_cases.c - reads the cases of api/kernel_test.h. */
#include "api/kernel_test.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GML_MAX_NUMBER 1e15 /* in a directive: integers of it are exact */

typedef struct reader {
    const char *path;
    const char *at, *end;
    int line;
    gml_arena *arena;
    gml_diags *diags;
    gml_kernel_case head; /* what the next case inherits */
} reader;

static const struct {
    const char *name;
    const char *types;
} classes[] = {
    {"float", "f16 bf16 f32 f64"},
    {"int", "i8 i16 i32 i64"},
    {"uint", "u8 u16 u32 u64"},
    {"number", "f16 bf16 f32 f64 i8 i16 i32 i64 u8 u16 u32 u64"},
};

static gml_status refuse(const reader *r, const char *what, const char *text, size_t len)
{
    return gml_fail(r->diags, GML_E_INVALID, (gml_loc){.file = r->path, .line = r->line},
                    "%s '%.*s'", what, (int)len, text);
}

/* The next line without its end; false at the end of the file. */
static bool next_line(reader *r, const char **out_text, size_t *out_len)
{
    if (r->at == r->end)
        return false;
    const char *stop = memchr(r->at, '\n', (size_t)(r->end - r->at));
    *out_text = r->at;
    *out_len = (size_t)((stop ? stop : r->end) - r->at);
    r->at = stop ? stop + 1 : r->end;
    r->line++;
    return true;
}

static gml_status add_types(reader *r, const char *text, size_t len);

static gml_status add_type(reader *r, const char *word, size_t len)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strlen(classes[i].name) == len && memcmp(classes[i].name, word, len) == 0)
            return add_types(r, classes[i].types, strlen(classes[i].types));
    gml_dtype dtype = gml_dtype_find(word, len);
    if (dtype == GML_NONE)
        return refuse(r, "there is no element type", word, len);
    gml_push(r->arena, &r->head.types, dtype);
    return GML_OK;
}

static gml_status add_types(reader *r, const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        size_t n = 0;
        while (i + n < len && text[i + n] != ' ')
            n++;
        if (n)
            GML_TRY(add_type(r, text + i, n));
        i += n + 1;
    }
    return GML_OK;
}

static bool is_word(const char *text, size_t len, const char *word, size_t *out_rest)
{
    size_t n = strlen(word);
    *out_rest = n;
    return len >= n && memcmp(text, word, n) == 0;
}

/* One number, or two where `out` has room for them; neither below the one before, or 0. */
static gml_status read_numbers(const reader *r, const char *text, size_t len, double **out)
{
    char line[80];
    double first = 0;
    double second = 0;
    snprintf(line, sizeof line, "%.*s", (int)len, text);
    int n = sscanf(line, "%lf %lf", &first, &second);
    bool fits = fabs(first) <= GML_MAX_NUMBER && fabs(second) <= GML_MAX_NUMBER &&
                (out[1] ? first <= second : first >= 0);
    if (n != (out[1] ? 2 : 1) || !fits)
        return refuse(r, "these are not the numbers that belong here:", text, len);
    *out[0] = first;
    if (out[1])
        *out[1] = second;
    return GML_OK;
}

/* A comment line that means something: for all cases from here on. */
static gml_status read_directive(reader *r, const char *text, size_t len)
{
    size_t rest = 0;
    if (is_word(text, len, "# TYPES:", &rest)) {
        r->head.types.count = 0;
        r->head.types.items = NULL; /* earlier cases keep theirs */
        r->head.types.capacity = 0;
        return add_types(r, text + rest, len - rest);
    }
    if (is_word(text, len, "# RANGE:", &rest)) {
        r->head.has_range = true;
        return read_numbers(r, text + rest, len - rest, (double *[]){&r->head.lo, &r->head.hi});
    }
    if (is_word(text, len, "# TERMS:", &rest))
        return read_numbers(r, text + rest, len - rest, (double *[]){&r->head.terms, NULL});
    if (is_word(text, len, "# SPECIALS", &rest))
        r->head.specials = true;
    return GML_OK;
}

/* Up to the line before the next that starts with '#' in its first column. */
static void read_text(reader *r, gml_kernel_case *out)
{
    out->text = r->at;
    while (r->at < r->end && *r->at != '#') {
        const char *text = NULL;
        size_t len = 0;
        (void)next_line(r, &text, &len);
    }
    out->len = (size_t)(r->at - out->text);
    out->text = gml_arena_text(r->arena, out->text, out->len);
}

static gml_status read_cases(reader *r, gml_kernel_cases *cases)
{
    const char *text = NULL;
    size_t len = 0;
    while (next_line(r, &text, &len)) {
        if (len == 0)
            continue;
        if (text[0] != '#')
            return refuse(r, "expected '## name' or a directive, found", text, len);
        if (len < 4 || memcmp(text, "## ", 3) != 0) {
            GML_TRY(read_directive(r, text, len));
            continue;
        }
        gml_kernel_case c = r->head;
        c.name = gml_arena_text(r->arena, text + 3, len - 3);
        if (!c.types.count)
            return refuse(r, "no '# TYPES:' stands above case", text + 3, len - 3);
        read_text(r, &c);
        gml_push(r->arena, cases, c);
    }
    return GML_OK;
}

gml_status gml_kernel_cases_read(const char *path, gml_arena *arena, gml_kernel_cases *cases,
                                 gml_diags *diags)
{
    gml_file file;
    GML_TRY(gml_file_map(path, &file, diags));
    const char *slash = strrchr(path, '/');
    const char *stem = slash ? slash + 1 : path;
    const char *dot = strrchr(stem, '.');
    reader r = {.path = path, .at = file.data, .arena = arena, .diags = diags};
    r.end = r.at + file.size;
    r.head.op = gml_arena_text(arena, stem, dot ? (size_t)(dot - stem) : strlen(stem));
    gml_status status = read_cases(&r, cases);
    gml_file_unmap(&file);
    return status;
}
