/* weights/pickle.c - the opcodes of pickles, without the calls. */
#include "weights/pickle_machine.h"

#include <string.h>

/* ---- names and calls --------------------------------------------------------------------- */

static bool equals(gml_string text, const char *other)
{
    return strlen(other) == text.len && memcmp(other, text.data, text.len) == 0;
}

/* `text` for a message: printable and not long. */
static const char *show(gml_machine *m, gml_string text)
{
    char *shown = gml_arena_text(m->arena, text.data, text.len < 80 ? text.len : 80);
    for (char *at = shown; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    return shown;
}

static gml_status push_name(gml_machine *m, gml_string module, gml_string name)
{
    for (size_t i = 0; i < m->options->n_names; i++)
        if (equals(module, m->options->names[i].module) &&
            equals(name, m->options->names[i].name))
            return gml_machine_push_number(m, GML_PICKLED_NAME, (int64_t)i);
    gml_status status =
        gml_fail(m->diags, GML_E_INVALID, (gml_loc){.file = m->options->file},
                 "its pickle asks for %s.%s, which is none of the names that weights need",
                 show(m, module), show(m, name));
    gml_note(m->diags,
             "a pickle can run any program when Python loads it; nothing was run here");
    return status;
}

static gml_status read_global(gml_machine *m)
{
    gml_string module;
    gml_string name;
    GML_TRY(gml_machine_take_line(m, &module));
    GML_TRY(gml_machine_take_line(m, &name));
    return push_name(m, module, name);
}

static gml_status read_stack_global(gml_machine *m)
{
    gml_pickled *module = NULL;
    gml_pickled *name = NULL;
    GML_TRY(gml_machine_pop(m, &name));
    GML_TRY(gml_machine_pop(m, &module));
    if (module->kind != GML_PICKLED_TEXT || name->kind != GML_PICKLED_TEXT)
        return gml_machine_fail(m, "a name is no text");
    return push_name(m, module->text, name->text);
}

/* REDUCE, NEWOBJ: callee and arguments are on the stack. */
static gml_status read_call(gml_machine *m)
{
    gml_pickled *arguments = NULL;
    gml_pickled *callee = NULL;
    GML_TRY(gml_machine_pop(m, &arguments));
    GML_TRY(gml_machine_pop(m, &callee));
    if (callee->kind != GML_PICKLED_NAME)
        return gml_machine_fail(m, "it calls what is no function");
    if (arguments->kind != GML_PICKLED_LIST)
        return gml_machine_fail(m, "the arguments of a call are no tuple");
    return gml_machine_push_value(
        m, (gml_pickled){.kind = GML_PICKLED_CALL, .callee = callee, .arguments = arguments});
}

static gml_status read_build(gml_machine *m)
{
    gml_pickled *state = NULL;
    gml_pickled *object = NULL;
    GML_TRY(gml_machine_pop(m, &state));
    GML_TRY(gml_machine_top(m, &object));
    if (object->kind != GML_PICKLED_CALL)
        return gml_machine_fail(m, "a state is given to what is no object");
    object->state = state;
    return GML_OK;
}

static gml_status read_persistent(gml_machine *m)
{
    gml_pickled *identifier = NULL;
    GML_TRY(gml_machine_pop(m, &identifier));
    GML_TRY(gml_machine_push_value(
        m, (gml_pickled){.kind = GML_PICKLED_PERSISTENT, .arguments = identifier}));
    gml_push(m->arena, &m->out->persistents, m->stack.items[m->stack.count - 1]);
    return GML_OK;
}

/* ---- numbers and texts ------------------------------------------------------------------- */

static gml_status push_signed(gml_machine *m, unsigned size)
{
    uint64_t number = 0;
    GML_TRY(gml_machine_take_number(m, size, &number));
    return gml_machine_push_number(m, GML_PICKLED_INT,
                                   size == 4 ? (int32_t)(uint32_t)number : (int64_t)number);
}

static gml_status push_unsigned(gml_machine *m, unsigned size)
{
    uint64_t number = 0;
    GML_TRY(gml_machine_take_number(m, size, &number));
    return gml_machine_push_number(m, GML_PICKLED_INT, (int64_t)number);
}

/* Two's complement of any length, behind the length. */
static gml_status push_long(gml_machine *m, unsigned size)
{
    gml_pickled value = {.kind = GML_PICKLED_BIG};
    GML_TRY(gml_machine_take_text(m, size, &value.text));
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
    return gml_machine_push_value(m, value);
}

static gml_status push_float(gml_machine *m)
{
    const unsigned char *bytes = NULL;
    uint64_t bits = 0;
    gml_pickled value = {.kind = GML_PICKLED_FLOAT};
    GML_TRY(gml_machine_take(m, 8, &bytes));
    for (unsigned i = 0; i < 8; i++)
        bits = bits << 8 | bytes[i];
    memcpy(&value.real, &bits, sizeof bits);
    return gml_machine_push_value(m, value);
}

static gml_status push_text(gml_machine *m, gml_pickled_kind kind, unsigned size)
{
    gml_pickled value = {.kind = kind};
    GML_TRY(gml_machine_take_text(m, size, &value.text));
    return gml_machine_push_value(m, value);
}

/* ---- opcodes ----------------------------------------------------------------------------- */

static gml_status drop_mark(gml_machine *m)
{
    size_t first = 0;
    GML_TRY(gml_machine_find_mark(m, &first));
    m->stack.count = first - 1;
    return GML_OK;
}

static gml_status drop_top(gml_machine *m)
{
    if (m->stack.count == 0)
        return gml_machine_fail(m, "the stack is empty");
    m->stack.count--;
    return GML_OK;
}

static gml_status duplicate(gml_machine *m)
{
    gml_pickled *value = NULL;
    GML_TRY(gml_machine_top(m, &value));
    gml_push(m->arena, &m->stack, value);
    return GML_OK;
}

static gml_status skip_frame(gml_machine *m)
{
    uint64_t len = 0;
    GML_TRY(gml_machine_take_number(m, 8, &len));
    return len <= m->len - m->at ? GML_OK
                                 : gml_machine_fail(m, "a frame is longer than the pickle");
}

static gml_status read_protocol(gml_machine *m)
{
    uint64_t version = 0;
    GML_TRY(gml_machine_take_number(m, 1, &version));
    return version <= 5 ? GML_OK : gml_machine_fail(m, "its protocol is newer than 5");
}

static gml_status remember_by(gml_machine *m, unsigned size)
{
    uint64_t number = 0;
    GML_TRY(gml_machine_take_number(m, size, &number));
    return gml_machine_remember(m, number);
}

static gml_status recall_by(gml_machine *m, unsigned size)
{
    uint64_t number = 0;
    GML_TRY(gml_machine_take_number(m, size, &number));
    return gml_machine_recall(m, number);
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

static gml_status refuse_opcode(gml_machine *m, unsigned char code)
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
static gml_status push_by(gml_machine *m, unsigned char code)
{
    switch (code) {
    case '(': return gml_machine_push_number(m, GML_PICKLED_MARK, 0);
    case 'N': return gml_machine_push_number(m, GML_PICKLED_NONE, 0);
    case 0x88: return gml_machine_push_number(m, GML_PICKLED_BOOL, 1);
    case 0x89: return gml_machine_push_number(m, GML_PICKLED_BOOL, 0);
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
    case 0x8f: return gml_machine_push_number(m, GML_PICKLED_LIST, 0);
    case '}': return gml_machine_push_number(m, GML_PICKLED_DICT, 0);
    default: return refuse_opcode(m, code);
    }
}

static gml_status execute(gml_machine *m, unsigned char code)
{
    switch (code) {
    case 0x80: return read_protocol(m);
    case 0x95: return skip_frame(m);
    case '0': return drop_top(m);
    case '1': return drop_mark(m);
    case '2': return duplicate(m);
    case 'a': return gml_machine_extend_by(m, GML_PICKLED_LIST, 1);
    case 'e':
    case 0x90: return gml_machine_extend_marked(m, GML_PICKLED_LIST);
    case 's': return gml_machine_extend_by(m, GML_PICKLED_DICT, 2);
    case 'u': return gml_machine_extend_marked(m, GML_PICKLED_DICT);
    case 't':
    case 'l':
    case 0x91: return gml_machine_collect(m, GML_PICKLED_LIST);
    case 'd': return gml_machine_collect(m, GML_PICKLED_DICT);
    case 0x85: return gml_machine_collect_tuple(m, 1);
    case 0x86: return gml_machine_collect_tuple(m, 2);
    case 0x87: return gml_machine_collect_tuple(m, 3);
    case 'q': return remember_by(m, 1);
    case 'r': return remember_by(m, 4);
    case 0x94: return gml_machine_remember(m, m->memo.count);
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
    gml_machine m = {.bytes = bytes,
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
        GML_TRY(gml_machine_take(&m, 1, &code));
        if (*code == '.')
            break;
        GML_TRY(execute(&m, *code));
    }
    GML_TRY(gml_machine_pop(&m, &value));
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
