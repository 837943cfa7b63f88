/* runtime/host/stringnormalizer.c - drops stop words and changes case.
 *
 * Case is changed code point by code point as Unicode's simple mappings say; `locale` is not
 * read. When words are compared without case, both sides are in lower case. */
#include "runtime/host/text_util.h"

#include <string.h>
#include <utf8proc.h>

typedef enum letter_case { GML_CASE_AS_IS, GML_CASE_LOWER, GML_CASE_UPPER } letter_case;

/* A sequence grows by at most one byte when its case changes, and has at most four. */
static gml_status change_case(gml_host_call *call, gml_scratch *scratch, letter_case to,
                              gml_string *text)
{
    if (to == GML_CASE_AS_IS)
        return GML_OK;
    char *changed =
        text->len > SIZE_MAX / 8 ? NULL : gml_scratch_array(scratch, char, 4 * text->len);
    if (changed == NULL)
        return gml_host_no_memory(call);
    size_t len = 0;
    for (size_t at = 0; at < text->len;) {
        int32_t code = 0;
        size_t n = gml_utf8_next(text->data + at, text->len - at, &code);
        if (code < 0) {
            changed[len++] = text->data[at];
        } else {
            code = to == GML_CASE_LOWER ? utf8proc_tolower(code) : utf8proc_toupper(code);
            len += (size_t)utf8proc_encode_char(code, (utf8proc_uint8_t *)changed + len);
        }
        at += n;
    }
    *text = (gml_string){.data = changed, .len = len};
    return GML_OK;
}

static gml_status read_case(gml_host_call *call, letter_case *out_case)
{
    *out_case = GML_CASE_AS_IS;
    if (gml_host_string_is(call, "case_change_action", "LOWER"))
        *out_case = GML_CASE_LOWER;
    else if (gml_host_string_is(call, "case_change_action", "UPPER"))
        *out_case = GML_CASE_UPPER;
    else if (gml_host_attr(call, "case_change_action") != NULL &&
             !gml_host_string_is(call, "case_change_action", "NONE"))
        return gml_host_fail(call, GML_E_INVALID,
                             "case_change_action is none of LOWER, UPPER and NONE");
    return GML_OK;
}

typedef struct stop_words {
    gml_string *words;
    size_t count;
    letter_case compare_as;
} stop_words;

static gml_status read_stop_words(gml_host_call *call, gml_scratch *scratch, stop_words *stop)
{
    const gml_string *words = gml_host_attr_strings(call, "stopwords", &stop->count);
    stop->compare_as =
        gml_host_int(call, "is_case_sensitive", 0) != 0 ? GML_CASE_AS_IS : GML_CASE_LOWER;
    stop->words = gml_scratch_array(scratch, gml_string, stop->count);
    if (stop->words == NULL)
        return gml_host_no_memory(call);
    for (size_t i = 0; i < stop->count; i++) {
        stop->words[i] = words[i];
        GML_TRY(change_case(call, scratch, stop->compare_as, &stop->words[i]));
    }
    return GML_OK;
}

static gml_status is_stop_word(gml_host_call *call, gml_scratch *scratch,
                               const stop_words *stop, gml_string word, bool *out_is_one)
{
    *out_is_one = false;
    if (stop->count > 0)
        GML_TRY(change_case(call, scratch, stop->compare_as, &word));
    for (size_t i = 0; i < stop->count && !*out_is_one; i++)
        *out_is_one = gml_string_equal(stop->words[i], word);
    return GML_OK;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL; /* (n) or (1, n) */
    GML_TRY(gml_host_require(call, 0, &x));
    if (x->rank < 1 || x->rank > 2 || (x->rank == 2 && x->dims[0] != 1))
        return gml_host_fail(call, GML_E_SHAPE, "the operand is neither (n) nor (1, n)");
    letter_case to = GML_CASE_AS_IS;
    stop_words stop = {0};
    GML_TRY(read_case(call, &to));
    GML_TRY(read_stop_words(call, scratch, &stop));
    int64_t n = gml_tensor_numel(x);
    gml_string *kept = gml_scratch_array(scratch, gml_string, n + 1);
    if (kept == NULL)
        return gml_host_no_memory(call);
    int64_t n_kept = 0;
    for (int64_t i = 0; i < n; i++) {
        gml_string word = gml_strings_of(x)[i];
        bool drops = false;
        GML_TRY(is_stop_word(call, scratch, &stop, word, &drops));
        if (drops)
            continue;
        GML_TRY(change_case(call, scratch, to, &word));
        kept[n_kept++] = word;
    }
    if (n_kept == 0)
        kept[n_kept++] = (gml_string){0}; /* nothing left: one empty string */
    int64_t dims[2] = {x->rank == 2 ? 1 : n_kept, n_kept};
    return gml_host_set_strings(call, 0, x->rank, dims, kept);
}

gml_status gml_host_stringnormalizer(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
