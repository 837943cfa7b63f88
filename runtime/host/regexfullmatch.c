/* runtime/host/regexfullmatch.c - whether a pattern matches the whole of each string.
 *
 * Patterns are RE2's; PCRE2 reads all of that syntax but \C, with these settings meaning the
 * same: classes are ASCII, `$` is the very end, `.` is anything but a line feed. Backtracking
 * is bounded, so that a hostile pattern is an error and not a hang. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/host/host_util.h"

#include <inttypes.h>
#include <pcre2.h>

#define GML_MATCH_LIMIT 10000000u /* steps per string */
#define GML_HEAP_LIMIT  65536u    /* KiB */

typedef struct matcher {
    pcre2_compile_context *compile;
    pcre2_match_context *match;
    pcre2_code *code;
    pcre2_match_data *data;
} matcher;

static gml_status matcher_init(gml_host_call *call, matcher *m)
{
    gml_string pattern = gml_host_string(call, "pattern");
    m->compile = pcre2_compile_context_create(NULL);
    m->match = pcre2_match_context_create(NULL);
    if (m->compile == NULL || m->match == NULL)
        return gml_host_no_memory(call);
    pcre2_set_newline(m->compile, PCRE2_NEWLINE_LF);
    pcre2_set_match_limit(m->match, GML_MATCH_LIMIT);
    pcre2_set_heap_limit(m->match, GML_HEAP_LIMIT);
    uint32_t options = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_ANCHORED |
                       PCRE2_ENDANCHORED | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
    int error = 0;
    size_t offset = 0;
    m->code = pcre2_compile((PCRE2_SPTR)(pattern.data != NULL ? pattern.data : ""), pattern.len,
                            options, &error, &offset, m->compile);
    if (m->code == NULL) {
        PCRE2_UCHAR text[128] = {0};
        pcre2_get_error_message(error, text, sizeof text);
        return gml_host_fail(call, GML_E_INVALID, "the pattern is wrong at byte %zu: %s",
                             offset, (const char *)text);
    }
    m->data = pcre2_match_data_create(1, NULL);
    return m->data == NULL ? gml_host_no_memory(call) : GML_OK;
}

static void matcher_reset(matcher *m)
{
    pcre2_match_data_free(m->data);
    pcre2_code_free(m->code);
    pcre2_match_context_free(m->match);
    pcre2_compile_context_free(m->compile);
}

static gml_status match_all(gml_host_call *call, const matcher *m)
{
    const gml_tensor *x = NULL;
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(gml_host_alloc(call, 0, GML_BOOL, x->rank, x->dims, &y));
    for (int64_t i = 0; i < gml_tensor_numel(x); i++) {
        gml_string text = gml_strings_of(x)[i];
        int found = pcre2_match(m->code, (PCRE2_SPTR)(text.data != NULL ? text.data : ""),
                                text.len, 0, 0, m->data, m->match);
        if (found < 0 && found != PCRE2_ERROR_NOMATCH)
            return gml_host_fail(call, GML_E_RANGE,
                                 "matching string %" PRId64 " takes too long (error %d)", i,
                                 found);
        gml_host_put_int(y, i, found >= 0);
    }
    return GML_OK;
}

gml_status gml_host_regexfullmatch(gml_host_call *call)
{
    matcher m = {0};
    gml_status status = matcher_init(call, &m);
    if (status == GML_OK)
        status = match_all(call, &m);
    matcher_reset(&m);
    return status;
}
