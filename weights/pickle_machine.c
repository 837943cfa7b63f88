/* weights/pickle_machine.c - stack and memo of the machine that reads pickles. */
#include "weights/pickle_machine.h"

#include <string.h>

gml_status gml_machine_fail(gml_machine *m, const char *what)
{
    (void)gml_fail(m->diags, GML_E_INVALID, (gml_loc){.file = m->options->file},
                   "its pickle is broken at byte %zu: %s", m->start, what);
    return GML_E_INVALID;
}

/* ---- bytes ------------------------------------------------------------------------------- */

/* The next `len` bytes. */
gml_status gml_machine_take(gml_machine *m, uint64_t len, const unsigned char **out_bytes)
{
    if (len > m->len - m->at)
        return gml_machine_fail(m, "it ends too early");
    *out_bytes = m->bytes + m->at;
    m->at += (size_t)len;
    return GML_OK;
}

/* An unsigned number of `size` bytes, little-endian. */
gml_status gml_machine_take_number(gml_machine *m, unsigned size, uint64_t *out_number)
{
    const unsigned char *bytes = NULL;
    *out_number = 0;
    GML_TRY(gml_machine_take(m, size, &bytes));
    for (unsigned i = 0; i < size; i++)
        *out_number |= (uint64_t)bytes[i] << (8 * i);
    return GML_OK;
}

/* Bytes behind their length, which has `size` bytes. */
gml_status gml_machine_take_text(gml_machine *m, unsigned size, gml_string *out_text)
{
    uint64_t len = 0;
    const unsigned char *bytes = NULL;
    GML_TRY(gml_machine_take_number(m, size, &len));
    GML_TRY(gml_machine_take(m, len, &bytes));
    *out_text = (gml_string){(const char *)bytes, (size_t)len};
    return GML_OK;
}

/* A line, without its end. */
gml_status gml_machine_take_line(gml_machine *m, gml_string *out_line)
{
    const unsigned char *from = m->bytes + m->at;
    const unsigned char *end = m->at < m->len ? memchr(from, '\n', m->len - m->at) : NULL;
    if (end == NULL)
        return gml_machine_fail(m, "a name has no end");
    *out_line = (gml_string){(const char *)from, (size_t)(end - from)};
    m->at += out_line->len + 1;
    return GML_OK;
}

/* ---- the stack --------------------------------------------------------------------------- */

gml_status gml_machine_push_value(gml_machine *m, gml_pickled value)
{
    if (m->n_values == GML_PICKLE_MAX_VALUES)
        return gml_machine_fail(m, "it has too many values");
    m->n_values++;
    gml_pickled *made = gml_arena_copy(m->arena, &value, sizeof value);
    gml_push(m->arena, &m->stack, made);
    return GML_OK;
}

gml_status gml_machine_push_number(gml_machine *m, gml_pickled_kind kind, int64_t number)
{
    return gml_machine_push_value(m, (gml_pickled){.kind = kind, .number = number});
}

gml_status gml_machine_pop(gml_machine *m, gml_pickled **out_value)
{
    if (m->stack.count == 0 || m->stack.items[m->stack.count - 1]->kind == GML_PICKLED_MARK)
        return gml_machine_fail(m, "the stack is empty");
    *out_value = m->stack.items[--m->stack.count];
    return GML_OK;
}

/* The value on top, which stays there. */
gml_status gml_machine_top(gml_machine *m, gml_pickled **out_value)
{
    GML_TRY(gml_machine_pop(m, out_value));
    m->stack.count++;
    return GML_OK;
}

/* Where the values since the last marker begin. */
gml_status gml_machine_find_mark(gml_machine *m, size_t *out_first)
{
    for (size_t i = m->stack.count; i > 0; i--)
        if (m->stack.items[i - 1]->kind == GML_PICKLED_MARK) {
            *out_first = i;
            return GML_OK;
        }
    return gml_machine_fail(m, "there is no marker");
}

/* Moves the values from `first` on into `into`. */
static void move_items(gml_machine *m, size_t first, gml_pickled *into)
{
    for (size_t i = first; i < m->stack.count; i++)
        gml_push(m->arena, &into->items, m->stack.items[i]);
    m->stack.count = first;
}

/* A value of `kind` that holds those since the marker. */
gml_status gml_machine_collect(gml_machine *m, gml_pickled_kind kind)
{
    size_t first = 0;
    gml_pickled value = {.kind = kind};
    GML_TRY(gml_machine_find_mark(m, &first));
    if (kind == GML_PICKLED_DICT && (m->stack.count - first) % 2 != 0)
        return gml_machine_fail(m, "a key has no value");
    move_items(m, first, &value);
    m->stack.count--;
    return gml_machine_push_value(m, value);
}

/* A tuple of the `n` values on top. */
gml_status gml_machine_collect_tuple(gml_machine *m, size_t n)
{
    gml_pickled value = {.kind = GML_PICKLED_LIST};
    for (size_t i = 0; i < n; i++)
        if (m->stack.count < n ||
            m->stack.items[m->stack.count - 1 - i]->kind == GML_PICKLED_MARK)
            return gml_machine_fail(m, "the stack is empty");
    move_items(m, m->stack.count - n, &value);
    return gml_machine_push_value(m, value);
}

/* The values from `first` on go into the container under them; `kind` is what it must be.
 * `under`: 1 when there is a marker between. */
static gml_status extend(gml_machine *m, gml_pickled_kind kind, size_t first, size_t under)
{
    if (first <= under)
        return gml_machine_fail(m, "the stack is empty");
    gml_pickled *into = m->stack.items[first - 1 - under];
    bool is_dict = kind == GML_PICKLED_DICT;
    if (into->kind != kind && !(is_dict && into->kind == GML_PICKLED_CALL))
        return gml_machine_fail(m, is_dict ? "a key is set in what is no dictionary"
                                           : "a value is added to what is no list");
    if (is_dict && (m->stack.count - first) % 2 != 0)
        return gml_machine_fail(m, "a key has no value");
    move_items(m, first, into);
    m->stack.count -= under;
    return GML_OK;
}

gml_status gml_machine_extend_marked(gml_machine *m, gml_pickled_kind kind)
{
    size_t first = 0;
    GML_TRY(gml_machine_find_mark(m, &first));
    return extend(m, kind, first, 1);
}

gml_status gml_machine_extend_by(gml_machine *m, gml_pickled_kind kind, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m->stack.count < n ||
            m->stack.items[m->stack.count - 1 - i]->kind == GML_PICKLED_MARK)
            return gml_machine_fail(m, "the stack is empty");
    return extend(m, kind, m->stack.count - n, 0);
}

/* ---- the memo ---------------------------------------------------------------------------- */

gml_status gml_machine_remember(gml_machine *m, uint64_t number)
{
    gml_pickled *value = NULL;
    GML_TRY(gml_machine_top(m, &value));
    if (number >= GML_PICKLE_MAX_VALUES)
        return gml_machine_fail(m, "a memo's number is too large");
    while (m->memo.count <= number)
        gml_push(m->arena, &m->memo, NULL);
    m->memo.items[number] = value;
    return GML_OK;
}

gml_status gml_machine_recall(gml_machine *m, uint64_t number)
{
    if (number >= m->memo.count || m->memo.items[number] == NULL)
        return gml_machine_fail(m, "there is nothing under a memo's number");
    gml_push(m->arena, &m->stack, m->memo.items[number]);
    return GML_OK;
}
