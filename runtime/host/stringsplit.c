/* runtime/host/stringsplit.c - each string's parts between delimiters, as Python's str.split.
 *
 * Without a delimiter parts are what stands between runs of white space, none of them empty.
 * Rows of the first result are filled up with empty strings. */
#include "runtime/host/text_util.h"

#include <string.h>

typedef struct splitter {
    gml_string delimiter; /* empty: white space */
    int64_t limit;        /* splits per string */
    gml_strings parts;    /* of all strings, one after the other */
    gml_scratch *scratch;
} splitter;

static size_t skip_space(gml_string text, size_t at)
{
    while (at < text.len) {
        int32_t code = 0;
        size_t n = gml_utf8_next(text.data + at, text.len - at, &code);
        if (!gml_is_space(code))
            break;
        at += n;
    }
    return at;
}

static size_t skip_word(gml_string text, size_t at)
{
    while (at < text.len) {
        int32_t code = 0;
        size_t n = gml_utf8_next(text.data + at, text.len - at, &code);
        if (gml_is_space(code))
            break;
        at += n;
    }
    return at;
}

static bool push(splitter *s, gml_string text, size_t from, size_t to)
{
    return gml_strings_push(&s->parts, s->scratch,
                            (gml_string){.data = text.data + from, .len = to - from});
}

static bool split_at_space(splitter *s, gml_string text)
{
    int64_t n_splits = 0;
    for (size_t at = skip_space(text, 0); at < text.len;) {
        size_t end = n_splits++ < s->limit ? skip_word(text, at) : text.len;
        if (!push(s, text, at, end))
            return false;
        at = skip_space(text, end);
    }
    return true;
}

/* Where the delimiter stands at or after `from`; text.len when nowhere. */
static size_t find_delimiter(const splitter *s, gml_string text, size_t from)
{
    for (size_t at = from; at + s->delimiter.len <= text.len; at++) {
        if (memcmp(text.data + at, s->delimiter.data, s->delimiter.len) == 0)
            return at;
    }
    return text.len;
}

static bool split_at_delimiter(splitter *s, gml_string text)
{
    size_t from = 0;
    for (int64_t n_splits = 0; n_splits < s->limit; n_splits++) {
        size_t at = find_delimiter(s, text, from);
        if (at + s->delimiter.len > text.len)
            break;
        if (!push(s, text, from, at))
            return false;
        from = at + s->delimiter.len;
    }
    return push(s, text, from, text.len);
}

static gml_status set_parts(gml_host_call *call, const gml_tensor *x, const splitter *s,
                            const int64_t *counts, int64_t longest)
{
    int64_t n = gml_tensor_numel(x);
    gml_tensor shape = *x;
    if (shape.rank >= GML_MAX_RANK)
        return gml_host_fail(call, GML_E_SHAPE, "rank %d is above %d", shape.rank + 1,
                             GML_MAX_RANK);
    shape.dims[shape.rank++] = longest;
    if (longest > 0 && n > INT64_MAX / 64 / longest)
        return gml_host_no_memory(call);
    gml_string *rows = gml_scratch_array(s->scratch, gml_string, n * longest);
    if (rows == NULL)
        return gml_host_no_memory(call);
    const gml_string *part = s->parts.items;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; part != NULL && j < counts[i]; j++)
            rows[i * longest + j] = *part++;
    }
    return gml_host_set_strings(call, 0, shape.rank, shape.dims, rows);
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    splitter s = {.delimiter = gml_host_string(call, "delimiter"),
                  .limit = gml_host_int(call, "maxsplit", -1),
                  .scratch = scratch};
    if (s.limit < 0)
        s.limit = INT64_MAX;
    int64_t n = gml_tensor_numel(x);
    int64_t longest = 0;
    int64_t *counts = gml_scratch_array(scratch, int64_t, n);
    if (counts == NULL)
        return gml_host_no_memory(call);
    for (int64_t i = 0; i < n; i++) {
        size_t before = s.parts.count;
        gml_string text = gml_strings_of(x)[i];
        bool is_done =
            s.delimiter.len == 0 ? split_at_space(&s, text) : split_at_delimiter(&s, text);
        if (!is_done)
            return gml_host_no_memory(call);
        counts[i] = (int64_t)(s.parts.count - before);
        longest = counts[i] > longest ? counts[i] : longest;
    }
    GML_TRY(set_parts(call, x, &s, counts, longest));
    if (call->n_outputs < 2)
        return GML_OK;
    const gml_tensor *z = NULL;
    GML_TRY(gml_host_alloc(call, 1, GML_I64, x->rank, x->dims, &z));
    if (n > 0)
        memcpy(z->data, counts, (size_t)n * sizeof *counts);
    return GML_OK;
}

gml_status gml_host_stringsplit(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
