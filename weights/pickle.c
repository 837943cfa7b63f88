/* weights/pickle.c - the stack machine of pickles, without the calls.
 *
 * The stack holds values; MARK puts a marker there, and opcodes that take "all since the
 * marker" find the last one. The memo holds values under numbers. Every opcode makes at most
 * one value, so that their number, the stack and the memo are bounded by the bytes read.
 */
#include "weights/pickle.h"

#include <string.h>

typedef struct machine {
    const unsigned char *bytes;
    size_t len, at;
    size_t start; /* of the opcode being executed */
    const gml_pickle_options *options;
    gml_arena *arena;
    gml_diags *diags;
    gml_vec(gml_pickled *) stack;
    gml_vec(gml_pickled *) memo; /* NULL: not set */
    size_t n_values;
    gml_pickle *out;
} machine;

static gml_status fail(machine *m, const char *what)
{
    return gml_fail(m->diags, GML_E_INVALID, (gml_loc){.file = m->options->file},
                    "its pickle is broken at byte %zu: %s", m->start, what);
}

/* ---- bytes ------------------------------------------------------------------------------- */

/* The next `len` bytes. */
static gml_status take(machine *m, uint64_t len, const unsigned char **out_bytes)
{
    if (len > m->len - m->at)
        return fail(m, "it ends too early");
    *out_bytes = m->bytes + m->at;
    m->at += (size_t)len;
    return GML_OK;
}

/* An unsigned number of `size` bytes, little-endian. */
static gml_status take_number(machine *m, unsigned size, uint64_t *out_number)
{
    const unsigned char *bytes = NULL;
    *out_number = 0;
    GML_TRY(take(m, size, &bytes));
    for (unsigned i = 0; i < size; i++)
        *out_number |= (uint64_t)bytes[i] << (8 * i);
    return GML_OK;
}

/* Bytes behind their length, which has `size` bytes. */
static gml_status take_text(machine *m, unsigned size, gml_string *out_text)
{
    uint64_t len = 0;
    const unsigned char *bytes = NULL;
    GML_TRY(take_number(m, size, &len));
    GML_TRY(take(m, len, &bytes));
    *out_text = (gml_string){(const char *)bytes, (size_t)len};
    return GML_OK;
}

/* A line, without its end. */
static gml_status take_line(machine *m, gml_string *out_line)
{
    const unsigned char *from = m->bytes + m->at;
    const unsigned char *end = m->at < m->len ? memchr(from, '\n', m->len - m->at) : NULL;
    if (end == NULL)
        return fail(m, "a name has no end");
    *out_line = (gml_string){(const char *)from, (size_t)(end - from)};
    m->at += out_line->len + 1;
    return GML_OK;
}

/* ---- the stack --------------------------------------------------------------------------- */

static gml_status push_value(machine *m, gml_pickled value)
{
    if (m->n_values == GML_PICKLE_MAX_VALUES)
        return fail(m, "it has too many values");
    m->n_values++;
    gml_pickled *made = gml_arena_copy(m->arena, &value, sizeof value);
    gml_push(m->arena, &m->stack, made);
    return GML_OK;
}

static gml_status push_number(machine *m, gml_pickled_kind kind, int64_t number)
{
    return push_value(m, (gml_pickled){.kind = kind, .number = number});
}

static gml_status pop(machine *m, gml_pickled **out_value)
{
    if (m->stack.count == 0 || m->stack.items[m->stack.count - 1]->kind == GML_PICKLED_MARK)
        return fail(m, "the stack is empty");
    *out_value = m->stack.items[--m->stack.count];
    return GML_OK;
}

/* The value on top, which stays there. */
static gml_status top(machine *m, gml_pickled **out_value)
{
    GML_TRY(pop(m, out_value));
    m->stack.count++;
    return GML_OK;
}

/* Where the values since the last marker begin. */
static gml_status find_mark(machine *m, size_t *out_first)
{
    for (size_t i = m->stack.count; i > 0; i--)
        if (m->stack.items[i - 1]->kind == GML_PICKLED_MARK) {
            *out_first = i;
            return GML_OK;
        }
    return fail(m, "there is no marker");
}

/* Moves the values from `first` on into `into`. */
static void move_items(machine *m, size_t first, gml_pickled *into)
{
    for (size_t i = first; i < m->stack.count; i++)
        gml_push(m->arena, &into->items, m->stack.items[i]);
    m->stack.count = first;
}

/* A value of `kind` that holds those since the marker. */
static gml_status collect(machine *m, gml_pickled_kind kind)
{
    size_t first = 0;
    gml_pickled value = {.kind = kind};
    GML_TRY(find_mark(m, &first));
    if (kind == GML_PICKLED_DICT && (m->stack.count - first) % 2 != 0)
        return fail(m, "a key has no value");
    move_items(m, first, &value);
    m->stack.count--;
    return push_value(m, value);
}

/* A tuple of the `n` values on top. */
static gml_status collect_tuple(machine *m, size_t n)
{
    gml_pickled value = {.kind = GML_PICKLED_LIST};
    for (size_t i = 0; i < n; i++)
        if (m->stack.count < n ||
            m->stack.items[m->stack.count - 1 - i]->kind == GML_PICKLED_MARK)
            return fail(m, "the stack is empty");
    move_items(m, m->stack.count - n, &value);
    return push_value(m, value);
}

/* The values from `first` on go into the container under them; `kind` is what it must be.
 * `under`: 1 when there is a marker between. */
static gml_status extend(machine *m, gml_pickled_kind kind, size_t first, size_t under)
{
    if (first <= under)
        return fail(m, "the stack is empty");
    gml_pickled *into = m->stack.items[first - 1 - under];
    bool is_dict = kind == GML_PICKLED_DICT;
    if (into->kind != kind && !(is_dict && into->kind == GML_PICKLED_CALL))
        return fail(m, is_dict ? "a key is set in what is no dictionary"
                               : "a value is added to what is no list");
    if (is_dict && (m->stack.count - first) % 2 != 0)
        return fail(m, "a key has no value");
    move_items(m, first, into);
    m->stack.count -= under;
    return GML_OK;
}

static gml_status extend_marked(machine *m, gml_pickled_kind kind)
{
    size_t first = 0;
    GML_TRY(find_mark(m, &first));
    return extend(m, kind, first, 1);
}

static gml_status extend_by(machine *m, gml_pickled_kind kind, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (m->stack.count < n ||
            m->stack.items[m->stack.count - 1 - i]->kind == GML_PICKLED_MARK)
            return fail(m, "the stack is empty");
    return extend(m, kind, m->stack.count - n, 0);
}

/* ---- the memo ---------------------------------------------------------------------------- */

static gml_status remember(machine *m, uint64_t number)
{
    gml_pickled *value = NULL;
    GML_TRY(top(m, &value));
    if (number >= GML_PICKLE_MAX_VALUES)
        return fail(m, "a memo's number is too large");
    while (m->memo.count <= number)
        gml_push(m->arena, &m->memo, NULL);
    m->memo.items[number] = value;
    return GML_OK;
}

static gml_status recall(machine *m, uint64_t number)
{
    if (number >= m->memo.count || m->memo.items[number] == NULL)
        return fail(m, "there is nothing under a memo's number");
    gml_push(m->arena, &m->stack, m->memo.items[number]);
    return GML_OK;
}

/* ---- names and calls --------------------------------------------------------------------- */

static bool equals(gml_string text, const char *other)
{
    return strlen(other) == text.len && memcmp(other, text.data, text.len) == 0;
}

/* `text` for a message: printable and not long. */
static const char *show(machine *m, gml_string text)
{
    char *shown = gml_arena_text(m->arena, text.data, text.len < 80 ? text.len : 80);
    for (char *at = shown; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return shown;
}

static gml_status push_name(machine *m, gml_string module, gml_string name)
{
    for (size_t i = 0; i < m->options->n_names; i++)
        if (equals(module, m->options->names[i].module) &&
            equals(name, m->options->names[i].name))
            return push_number(m, GML_PICKLED_NAME, (int64_t)i);
    gml_status status =
        gml_fail(m->diags, GML_E_INVALID, (gml_loc){.file = m->options->file},
                 "its pickle asks for %s.%s, which is none of the names that weights need",
                 show(m, module), show(m, name));
    gml_note(m->diags,
             "a pickle can run any program when Python loads it; nothing was run here");
    return status;
}

static gml_status read_global(machine *m)
{
    gml_string module;
    gml_string name;
    GML_TRY(take_line(m, &module));
    GML_TRY(take_line(m, &name));
    return push_name(m, module, name);
}

static gml_status read_stack_global(machine *m)
{
    gml_pickled *module = NULL;
    gml_pickled *name = NULL;
    GML_TRY(pop(m, &name));
    GML_TRY(pop(m, &module));
    if (module->kind != GML_PICKLED_TEXT || name->kind != GML_PICKLED_TEXT)
        return fail(m, "a name is no text");
    return push_name(m, module->text, name->text);
}

/* REDUCE, NEWOBJ: callee and arguments are on the stack. */
static gml_status read_call(machine *m)
{
    gml_pickled *arguments = NULL;
    gml_pickled *callee = NULL;
    GML_TRY(pop(m, &arguments));
    GML_TRY(pop(m, &callee));
    if (callee->kind != GML_PICKLED_NAME)
        return fail(m, "it calls what is no function");
    if (arguments->kind != GML_PICKLED_LIST)
        return fail(m, "the arguments of a call are no tuple");
    return push_value(
        m, (gml_pickled){.kind = GML_PICKLED_CALL, .callee = callee, .arguments = arguments});
}

static gml_status read_build(machine *m)
{
    gml_pickled *state = NULL;
    gml_pickled *object = NULL;
    GML_TRY(pop(m, &state));
    GML_TRY(top(m, &object));
    if (object->kind != GML_PICKLED_CALL)
        return fail(m, "a state is given to what is no object");
    object->state = state;
    return GML_OK;
}

static gml_status read_persistent(machine *m)
{
    gml_pickled *identifier = NULL;
    GML_TRY(pop(m, &identifier));
    GML_TRY(
        push_value(m, (gml_pickled){.kind = GML_PICKLED_PERSISTENT, .arguments = identifier}));
    gml_push(m->arena, &m->out->persistents, m->stack.items[m->stack.count - 1]);
    return GML_OK;
}

/* ---- numbers and texts ------------------------------------------------------------------- */

static gml_status push_signed(machine *m, unsigned size)
{
    uint64_t number = 0;
    GML_TRY(take_number(m, size, &number));
    return push_number(m, GML_PICKLED_INT,
                       size == 4 ? (int32_t)(uint32_t)number : (int64_t)number);
}

static gml_status push_unsigned(machine *m, unsigned size)
{
    uint64_t number = 0;
    GML_TRY(take_number(m, size, &number));
    return push_number(m, GML_PICKLED_INT, (int64_t)number);
}

/* Two's complement of any length, behind the length. */
static gml_status push_long(machine *m, unsigned size)
{
    gml_pickled value = {.kind = GML_PICKLED_BIG};
    GML_TRY(take_text(m, size, &value.text));
    if (value.text.len <= 8) {
        const unsigned char *bytes = (const unsigned char *)value.text.data;
        uint64_t number = 0;
        for (size_t i = 0; i < 8; i++) {
            bool is_negative = value.text.len > 0 && bytes[value.text.len - 1] >= 0x80;
            uint64_t byte = i < value.text.len ? bytes[i] : is_negative ? 0xff : 0;
            number |= byte << (8 * i);
        }
        value.kind = GML_PICKLED_INT;
        value.number = (int64_t)number;
    }
    return push_value(m, value);
}

static gml_status push_float(machine *m)
{
    const unsigned char *bytes = NULL;
    uint64_t bits = 0;
    gml_pickled value = {.kind = GML_PICKLED_FLOAT};
    GML_TRY(take(m, 8, &bytes));
    for (unsigned i = 0; i < 8; i++)
        bits = bits << 8 | bytes[i];
    memcpy(&value.real, &bits, sizeof bits);
    return push_value(m, value);
}

static gml_status push_text(machine *m, gml_pickled_kind kind, unsigned size)
{
    gml_pickled value = {.kind = kind};
    GML_TRY(take_text(m, size, &value.text));
    return push_value(m, value);
}

/* ---- opcodes ----------------------------------------------------------------------------- */

static gml_status drop_mark(machine *m)
{
    size_t first = 0;
    GML_TRY(find_mark(m, &first));
    m->stack.count = first - 1;
    return GML_OK;
}

static gml_status drop_top(machine *m)
{
    if (m->stack.count == 0)
        return fail(m, "the stack is empty");
    m->stack.count--;
    return GML_OK;
}

static gml_status duplicate(machine *m)
{
    gml_pickled *value = NULL;
    GML_TRY(top(m, &value));
    gml_push(m->arena, &m->stack, value);
    return GML_OK;
}

static gml_status skip_frame(machine *m)
{
    uint64_t len = 0;
    GML_TRY(take_number(m, 8, &len));
    return len <= m->len - m->at ? GML_OK : fail(m, "a frame is longer than the pickle");
}

static gml_status read_protocol(machine *m)
{
    uint64_t version = 0;
    GML_TRY(take_number(m, 1, &version));
    return version <= 5 ? GML_OK : fail(m, "its protocol is newer than 5");
}

static gml_status remember_by(machine *m, unsigned size)
{
    uint64_t number = 0;
    GML_TRY(take_number(m, size, &number));
    return remember(m, number);
}

static gml_status recall_by(machine *m, unsigned size)
{
    uint64_t number = 0;
    GML_TRY(take_number(m, size, &number));
    return recall(m, number);
}

/* Opcodes that are known and not read, by their names in Python's pickletools. */
static const struct {
    unsigned char code;
    const char *name;
} refused[] = {
    {'I', "INT"},     {'L', "LONG"},       {'F', "FLOAT"},        {'S', "STRING"},
    {'V', "UNICODE"}, {'g', "GET"},        {'p', "PUT"},          {'P', "PERSID"},
    {'i', "INST"},    {'o', "OBJ"},        {0x82, "EXT1"},        {0x83, "EXT2"},
    {0x84, "EXT4"},   {0x92, "NEWOBJ_EX"}, {0x97, "NEXT_BUFFER"}, {0x98, "READONLY_BUFFER"},
};

static gml_status refuse_opcode(machine *m, unsigned char code)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (refused[i].code == code)
            return gml_fail(m->diags, GML_E_UNSUPPORTED, (gml_loc){.file = m->options->file},
                            "its pickle has the opcode %s at byte %zu, which is not read",
                            refused[i].name, m->start);
    return gml_fail(m->diags, GML_E_INVALID, (gml_loc){.file = m->options->file},
                    "its pickle is broken at byte %zu: there is no opcode 0x%02x", m->start,
                    (unsigned)code);
}

/* Opcodes that push one value of their own. */
static gml_status push_by(machine *m, unsigned char code)
{
    switch (code) {
    case '(': return push_number(m, GML_PICKLED_MARK, 0);
    case 'N': return push_number(m, GML_PICKLED_NONE, 0);
    case 0x88: return push_number(m, GML_PICKLED_BOOL, 1);
    case 0x89: return push_number(m, GML_PICKLED_BOOL, 0);
    case 'J': return push_signed(m, 4);
    case 'K': return push_unsigned(m, 1);
    case 'M': return push_unsigned(m, 2);
    case 0x8a: return push_long(m, 1);
    case 0x8b: return push_long(m, 4);
    case 'G': return push_float(m);
    case 'X': return push_text(m, GML_PICKLED_TEXT, 4);
    case 0x8c: return push_text(m, GML_PICKLED_TEXT, 1);
    case 0x8d: return push_text(m, GML_PICKLED_TEXT, 8);
    case 'T':
    case 'B': return push_text(m, GML_PICKLED_BYTES, 4);
    case 'U':
    case 'C': return push_text(m, GML_PICKLED_BYTES, 1);
    case 0x8e:
    case 0x96: return push_text(m, GML_PICKLED_BYTES, 8);
    case ']':
    case ')':
    case 0x8f: return push_number(m, GML_PICKLED_LIST, 0);
    case '}': return push_number(m, GML_PICKLED_DICT, 0);
    default: return refuse_opcode(m, code);
    }
}

static gml_status execute(machine *m, unsigned char code)
{
    switch (code) {
    case 0x80: return read_protocol(m);
    case 0x95: return skip_frame(m);
    case '0': return drop_top(m);
    case '1': return drop_mark(m);
    case '2': return duplicate(m);
    case 'a': return extend_by(m, GML_PICKLED_LIST, 1);
    case 'e':
    case 0x90: return extend_marked(m, GML_PICKLED_LIST);
    case 's': return extend_by(m, GML_PICKLED_DICT, 2);
    case 'u': return extend_marked(m, GML_PICKLED_DICT);
    case 't':
    case 'l':
    case 0x91: return collect(m, GML_PICKLED_LIST);
    case 'd': return collect(m, GML_PICKLED_DICT);
    case 0x85: return collect_tuple(m, 1);
    case 0x86: return collect_tuple(m, 2);
    case 0x87: return collect_tuple(m, 3);
    case 'q': return remember_by(m, 1);
    case 'r': return remember_by(m, 4);
    case 0x94: return remember(m, m->memo.count);
    case 'h': return recall_by(m, 1);
    case 'j': return recall_by(m, 4);
    case 'c': return read_global(m);
    case 0x93: return read_stack_global(m);
    case 'R':
    case 0x81: return read_call(m);
    case 'b': return read_build(m);
    case 'Q': return read_persistent(m);
    default: return push_by(m, code);
    }
}

gml_status gml_pickle_read(const void *bytes, size_t len, const gml_pickle_options *options,
                           gml_arena *arena, gml_pickle *out, gml_diags *diags)
{
    machine m = {.bytes = bytes,
                 .len = len < GML_PICKLE_MAX_BYTES ? len : GML_PICKLE_MAX_BYTES,
                 .options = options,
                 .arena = arena,
                 .diags = diags,
                 .out = out};
    gml_pickled *value = NULL;
    *out = (gml_pickle){.value = NULL};
    for (;;) {
        const unsigned char *code = NULL;
        m.start = m.at;
        GML_TRY(take(&m, 1, &code));
        if (*code == '.')
            break;
        GML_TRY(execute(&m, *code));
    }
    GML_TRY(pop(&m, &value));
    out->value = value;
    out->size = m.at;
    return GML_OK;
}

/* ---- reading trees ----------------------------------------------------------------------- */

bool gml_pickled_is_text(const gml_pickled *value, const char *text)
{
    return value->kind == GML_PICKLED_TEXT && equals(value->text, text);
}

const gml_pickled *gml_pickled_find(const gml_pickled *value, const char *key)
{
    if (value->kind != GML_PICKLED_DICT && value->kind != GML_PICKLED_CALL)
        return NULL;
    for (size_t i = 0; i + 1 < value->items.count; i += 2)
        if (gml_pickled_is_text(value->items.items[i], key))
            return value->items.items[i + 1];
    return NULL;
}
