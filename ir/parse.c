/* ir/parse.c - graphs and nodes from text. */
#include "base/quote.h"
#include "ir/element.h"
#include "ir/op.h"
#include "ir/parser.h"
#include "ir/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static gml_arena *arena_of(const gml_parser *p)
{
    return &p->module->arena;
}

/* ---- Tokens ----------------------------------------------------------------------------- */

void gml_parser_skip(gml_parser *p)
{
    for (;;) {
        p->at += strspn(p->at, " \t\r\n");
        if (*p->at != '#')
            return;
        p->at += strcspn(p->at, "\n");
    }
}

bool gml_parser_accept(gml_parser *p, const char *token)
{
    gml_parser_skip(p);
    size_t len = strlen(token);
    if (strncmp(p->at, token, len) != 0)
        return false;
    size_t word = gml_plain_name_len(p->at);
    if (word != 0 && word != len)
        return false;
    p->at += len;
    return true;
}

gml_loc gml_parser_loc(gml_parser *p)
{
    if (p->at < p->counted) {
        p->counted = p->text;
        p->line = 1;
    }
    for (; p->counted < p->at; p->counted++)
        p->line += *p->counted == '\n';
    return (gml_loc){.file = p->file, .line = p->line};
}

gml_status gml_parser_expected(gml_parser *p, const char *what)
{
    gml_parser_skip(p);
    gml_loc loc = gml_parser_loc(p);
    if (*p->at == '\0')
        return gml_fail(p->diags, GML_E_INVALID, loc, "expected %s, found the end of the text",
                        what);
    size_t len = strcspn(p->at, " \t\r\n,(){}[]=");
    if (len == 0)
        len = 1;
    return gml_fail(p->diags, GML_E_INVALID, loc, "expected %s, found '%.*s'", what,
                    len > 40 ? 40 : (int)len, p->at);
}

gml_status gml_parser_expect(gml_parser *p, const char *token)
{
    if (gml_parser_accept(p, token))
        return GML_OK;
    return gml_parser_expected(p, gml_arena_printf(p->diags->arena, "'%s'", token));
}

gml_status gml_parse_name(gml_parser *p, const char **out_name)
{
    gml_parser_skip(p);
    size_t len = gml_plain_name_len(p->at);
    if (len != 0) {
        *out_name = gml_arena_text(arena_of(p), p->at, len);
        p->at += len;
        return GML_OK;
    }
    gml_string name;
    if (!gml_quote_parse(arena_of(p), &p->at, &name))
        return gml_parser_expected(p, "a name");
    if (strlen(name.data) != name.len)
        return gml_fail(p->diags, GML_E_INVALID, gml_parser_loc(p), "a name holds a NUL byte");
    *out_name = name.data;
    return GML_OK;
}

gml_status gml_parse_type(gml_parser *p, gml_type *out_type)
{
    gml_parser_skip(p);
    if (!gml_type_parse(&p->module->dims, arena_of(p), &p->at, out_type))
        return gml_parser_expected(p, "a type");
    return gml_type_check(out_type, p->diags, gml_parser_loc(p));
}

/* ---- Labels ----------------------------------------------------------------------------- */

/* `%name`, `%name#2`, `%7` or `_` as written. Values are found by `key`. */
typedef struct label {
    const char *key;  /* NULL: `_` */
    const char *name; /* of the value: NULL when it has none, "" when nobody wants it */
    const char *text; /* for diagnostics */
} label;

typedef gml_vec(label) labels;

static bool at_label(gml_parser *p)
{
    gml_parser_skip(p);
    return *p->at == '%' || (*p->at == '_' && gml_plain_name_len(p->at) == 1);
}

static gml_status parse_label(gml_parser *p, label *out)
{
    gml_arena *arena = arena_of(p);
    *out = (label){0};
    if (gml_parser_accept(p, "_")) {
        *out = (label){.name = "", .text = "_"};
        return GML_OK;
    }
    const char *start = p->at;
    if (*p->at != '%')
        return gml_parser_expected(p, "a value");
    size_t digits = strspn(++p->at, "0123456789");
    if (digits != 0) {
        out->name = NULL;
        out->key = gml_arena_text(arena, p->at, digits); /* a name's key has a colon */
        p->at += digits;
    } else {
        GML_TRY(gml_parse_name(p, &out->name));
        if (out->name[0] == '\0')
            return gml_fail(p->diags, GML_E_INVALID, gml_parser_loc(p),
                            "a value's name is empty");
        const char *number = "";
        if (*p->at == '#') {
            digits = strspn(p->at + 1, "0123456789");
            number = gml_arena_text(arena, p->at + 1, digits);
            p->at += digits != 0 ? 1 + digits : 0;
        }
        out->key = gml_arena_printf(arena, "%s:%s", number, out->name);
    }
    out->text = gml_arena_text(arena, start, (size_t)(p->at - start));
    return GML_OK;
}

static gml_status parse_use(gml_parser *p, gml_value **out_value)
{
    label use;
    gml_parser_skip(p);
    gml_loc loc = gml_parser_loc(p);
    GML_TRY(parse_label(p, &use));
    *out_value = use.key == NULL ? NULL : gml_map_find(&p->names, use.key);
    if (use.key != NULL && *out_value == NULL)
        return gml_fail(p->diags, GML_E_INVALID, loc, "%s is not defined here", use.text);
    return GML_OK;
}

static gml_status define(gml_parser *p, const label *definition, gml_value *value, gml_loc loc)
{
    value->name = definition->name;
    if (definition->key == NULL)
        return GML_OK;
    if (gml_map_find(&p->names, definition->key) != NULL)
        return gml_fail(p->diags, GML_E_INVALID, loc, "%s is defined twice", definition->text);
    gml_map_set(&p->names, definition->key, value);
    return GML_OK;
}

/* ---- Nodes ------------------------------------------------------------------------------ */

static gml_status parse_results(gml_parser *p, labels *out_results)
{
    if (!at_label(p))
        return GML_OK;
    do {
        label result;
        GML_TRY(parse_label(p, &result));
        gml_push(arena_of(p), out_results, result);
    } while (gml_parser_accept(p, ","));
    return gml_parser_expect(p, "=");
}

static gml_status parse_operator(gml_parser *p, const gml_op_info **out_op)
{
    gml_parser_skip(p);
    size_t len = gml_plain_name_len(p->at);
    if (len == 0)
        return gml_parser_expected(p, "an operator");
    gml_loc loc = gml_parser_loc(p);
    char *name = gml_arena_text(arena_of(p), p->at, len);
    p->at += len;
    char *dot = strrchr(name, '.');
    if (dot != NULL)
        *dot = '\0';
    *out_op = dot != NULL ? gml_op_find(name, dot + 1) : gml_op_find(NULL, name);
    if (*out_op != NULL)
        return GML_OK;
    if (dot != NULL)
        *dot = '.';
    return gml_fail(p->diags, GML_E_UNSUPPORTED, loc, "there is no operator '%s'", name);
}

typedef gml_vec(gml_value *) values;

static gml_status parse_operands(gml_parser *p, values *out_operands)
{
    if (!gml_parser_accept(p, "("))
        return GML_OK;
    while (!gml_parser_accept(p, ")")) {
        gml_value *operand;
        if (out_operands->count != 0)
            GML_TRY(gml_parser_expect(p, ","));
        GML_TRY(parse_use(p, &operand));
        gml_push(arena_of(p), out_operands, operand);
    }
    return GML_OK;
}

/* The elements of `result` as sizes, after the equals sign. */
static gml_status parse_sizes(gml_parser *p, gml_value *result, const gml_type *type)
{
    gml_loc loc = gml_parser_loc(p);
    bool fits = type->kind == GML_TYPE_TENSOR && gml_type_is_static(type) && type->rank <= 1 &&
                gml_dtype_get_class(type->dtype) == GML_CLASS_SIGNED;
    if (!fits)
        return gml_fail(p->diags, GML_E_INVALID, loc,
                        "sizes are written for integer scalars and vectors only");
    int64_t count = type->rank == 0 ? 1 : type->dims[0];
    if (count > (int64_t)strlen(p->at))
        return gml_fail(p->diags, GML_E_INVALID, loc, "fewer sizes than the type has elements");
    gml_dim *sizes = gml_new_array(arena_of(p), gml_dim, count);
    GML_TRY(gml_parser_expect(p, "{"));
    for (int64_t i = 0; i < count; i++) {
        if (i != 0)
            GML_TRY(gml_parser_expect(p, ","));
        gml_parser_skip(p);
        if (!gml_dim_parse(&p->module->dims, &p->at, &sizes[i]))
            return gml_parser_expected(p, "a size");
    }
    result->type = *type;
    result->elements = sizes;
    return gml_parser_expect(p, "}");
}

/* The types after the colon, one per result; `*out_types` is NULL when there are none. */
static gml_status parse_types(gml_parser *p, gml_node *node, gml_type **out_types)
{
    *out_types = NULL;
    if (!gml_parser_accept(p, ":"))
        return GML_OK;
    gml_type *types = gml_new_array(arena_of(p), gml_type, node->n_results);
    for (uint32_t i = 0; i < node->n_results; i++) {
        if (i != 0)
            GML_TRY(gml_parser_expect(p, ","));
        GML_TRY(gml_parse_type(p, &types[i]));
        if (gml_parser_accept(p, "="))
            GML_TRY(parse_sizes(p, &node->results[i], &types[i]));
    }
    *out_types = types;
    return node->n_results != 0 ? GML_OK
                                : gml_parser_expected(p, "no type, for there is no result");
}

static const char *type_text(gml_parser *p, const gml_type *type)
{
    gml_str str;
    gml_str_init(&str);
    gml_type_print(&p->module->dims, type, &str);
    const char *text = gml_arena_text(p->diags->arena, str.text, str.len);
    gml_str_reset(&str);
    return text;
}

static void note_written(gml_parser *p, gml_value *value, gml_loc loc)
{
    gml_written_type written = {value, value->type, loc};
    gml_push(arena_of(p), &p->written, written);
}

static bool agree(const gml_type *written, const gml_type *inferred)
{
    return inferred->kind == GML_TYPE_UNKNOWN || written->kind == GML_TYPE_UNKNOWN ||
           gml_type_accepts(written, inferred) || gml_type_accepts(inferred, written);
}

/* Inferring a node infers its regions once more; what the text states of them stands, unless
 * it cannot be so: the parameter of a body whose first value is of another rank. */
static gml_status restore_written(gml_parser *p)
{
    gml_status status = GML_OK;
    for (size_t i = 0; i < p->written.count; i++) {
        const gml_written_type *written = &p->written.items[i];
        gml_type *type = &written->value->type;
        if (!agree(&written->type, type))
            status = gml_fail(p->diags, GML_E_TYPE, written->loc,
                              "a value of a region is written as %s and inferred as %s",
                              type_text(p, &written->type), type_text(p, type));
        *type = written->type;
    }
    return status;
}

/* Gives result `i` the type that was written. */
static void set_type(gml_parser *p, gml_node *node, uint32_t i, const gml_type *written)
{
    gml_type *type = &node->results[i].type;
    if (!agree(written, type))
        p->status = gml_fail(p->diags, GML_E_TYPE, node->loc,
                             "result %u is written as %s and inferred as %s", i,
                             type_text(p, written), type_text(p, type));
    *type = *written;
    note_written(p, &node->results[i], node->loc);
}

static bool all_unknown(const gml_type *types, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (types[i].kind != GML_TYPE_UNKNOWN)
            return false;
    }
    return true;
}

/* Inference starts from known operands only: after a fault, what depends on it is left alone.
 */
static void infer(gml_parser *p, gml_node *node, const gml_type *types)
{
    bool is_possible = types == NULL || !all_unknown(types, node->n_results);
    for (uint32_t i = 0; i < node->n_operands; i++) {
        if (node->operands[i] != NULL && node->operands[i]->type.kind == GML_TYPE_UNKNOWN)
            is_possible = false;
    }
    if (is_possible) {
        gml_status status = gml_node_infer(node, p->diags);
        if (status != GML_OK)
            p->status = status;
    }
    for (uint32_t i = 0; types != NULL && i < node->n_results; i++)
        set_type(p, node, i, &types[i]);
}

/* A node up to its operands: results, operator, operands. */
static gml_status parse_head(gml_parser *p, gml_graph *graph, labels *out_results,
                             gml_node **out_node)
{
    values operands = {0};
    const gml_op_info *op;
    gml_parser_skip(p);
    gml_loc loc = gml_parser_loc(p);
    GML_TRY(parse_results(p, out_results));
    GML_TRY(parse_operator(p, &op));
    GML_TRY(parse_operands(p, &operands));
    if (out_results->count > UINT32_MAX || operands.count > UINT32_MAX)
        return gml_fail(p->diags, GML_E_INVALID, loc, "a node of more than 2^32 values");
    loc.node = out_results->count > 0 ? out_results->items[0].text : NULL;
    loc.op = op->name;
    *out_node = gml_node_create(graph, NULL, op, operands.items, (uint32_t)operands.count,
                                (uint32_t)out_results->count, loc);
    return GML_OK;
}

static gml_status parse_node(gml_parser *p, gml_graph *graph, labels *defined)
{
    labels results = {0};
    gml_bare_tensors bare = {0};
    gml_node *node = NULL;
    gml_type *types = NULL;
    GML_TRY(parse_head(p, graph, &results, &node));
    gml_parser_skip(p);
    if (*p->at == '{')
        GML_TRY(gml_parse_attrs(p, node, &bare));
    GML_TRY(parse_types(p, node, &types));
    for (size_t i = 0; i < bare.count; i++)
        GML_TRY(
            gml_parse_bare_tensor(p, node, &bare.items[i], node->n_results > 0 ? types : NULL));
    infer(p, node, types);
    for (uint32_t i = 0; i < node->n_results; i++) {
        GML_TRY(define(p, &results.items[i], &node->results[i], node->loc));
        gml_push(arena_of(p), defined, results.items[i]);
    }
    return GML_OK;
}

/* ---- Graphs ----------------------------------------------------------------------------- */

static gml_status parse_params(gml_parser *p, gml_graph *graph, labels *defined)
{
    GML_TRY(gml_parser_expect(p, "("));
    while (!gml_parser_accept(p, ")")) {
        label param;
        gml_type type;
        if (graph->n_params != 0)
            GML_TRY(gml_parser_expect(p, ","));
        gml_parser_skip(p);
        gml_loc loc = gml_parser_loc(p);
        GML_TRY(parse_label(p, &param));
        GML_TRY(gml_parser_expect(p, ":"));
        GML_TRY(gml_parse_type(p, &type));
        gml_value *value = gml_graph_add_param(graph, NULL, type);
        note_written(p, value, loc);
        GML_TRY(define(p, &param, value, loc));
        gml_push(arena_of(p), defined, param);
    }
    return GML_OK;
}

/* What follows the word "return". */
static gml_status parse_return(gml_parser *p, gml_graph *graph)
{
    if (!at_label(p))
        return GML_OK;
    do {
        gml_value *value;
        const char *name = NULL;
        GML_TRY(parse_use(p, &value));
        if (value == NULL)
            return gml_fail(p->diags, GML_E_INVALID, gml_parser_loc(p),
                            "a graph returns values only, not '_'");
        if (gml_parser_accept(p, "as"))
            GML_TRY(gml_parse_name(p, &name));
        gml_graph_add_result(graph, value, name);
    } while (gml_parser_accept(p, ","));
    return GML_OK;
}

/* What follows the word "require". */
static gml_status parse_requirement(gml_parser *p, gml_graph *graph)
{
    gml_assumption assumption = {.loc = gml_parser_loc(p)};
    unsigned relation = 0;
    while (relation < GML_RELATION_COUNT &&
           !gml_parser_accept(p, gml_relation_name((gml_relation)relation)))
        relation++;
    if (relation == GML_RELATION_COUNT)
        return gml_parser_expected(p, "a relation of sizes");
    assumption.relation = (gml_relation)relation;
    for (int i = 0; i < 2; i++) {
        GML_TRY(gml_parser_expect(p, i == 0 ? "(" : ","));
        gml_parser_skip(p);
        if (!gml_dim_parse(&p->module->dims, &p->at, i == 0 ? &assumption.a : &assumption.b))
            return gml_parser_expected(p, "a size");
    }
    gml_assumptions_add(arena_of(p), &graph->assumptions, &assumption, 1);
    return gml_parser_expect(p, ")");
}

static gml_status parse_body(gml_parser *p, gml_graph *graph, labels *defined)
{
    GML_TRY(gml_parser_expect(p, "{"));
    while (gml_parser_accept(p, "require"))
        GML_TRY(parse_requirement(p, graph));
    while (!gml_parser_accept(p, "return"))
        GML_TRY(parse_node(p, graph, defined));
    GML_TRY(parse_return(p, graph));
    return gml_parser_expect(p, "}");
}

gml_status gml_parse_graph(gml_parser *p, gml_node *owner, gml_graph **out_graph)
{
    const char *name = NULL;
    labels defined = {0};
    GML_TRY(gml_parser_expect(p, "graph"));
    if (p->depth == GML_MAX_REGION_DEPTH)
        return gml_fail(p->diags, GML_E_INVALID, gml_parser_loc(p),
                        "regions are nested more than %d deep", GML_MAX_REGION_DEPTH);
    if (gml_parser_accept(p, "@"))
        GML_TRY(gml_parse_name(p, &name));
    gml_graph *graph = gml_graph_create(p->module, name, owner);
    p->depth++;
    GML_TRY(parse_params(p, graph, &defined));
    GML_TRY(parse_body(p, graph, &defined));
    p->depth--;
    for (size_t i = 0; i < defined.count; i++) {
        if (defined.items[i].key != NULL)
            gml_map_set(&p->names, defined.items[i].key, NULL);
    }
    *out_graph = graph;
    return GML_OK;
}

/* ---- The whole text --------------------------------------------------------------------- */

/* Inference makes symbols "hint.N". Those that the text names must stay the text's: new ones
 * are numbered from above the highest N that follows a name in it. */
static void reserve_fresh_names(gml_parser *p)
{
    const unsigned long limit = 1UL << 30;
    for (const char *at = p->text; *at != '\0';) {
        size_t len = gml_plain_name_len(at);
        if (len == 0) {
            at++;
            continue;
        }
        size_t n_digits = 0;
        while (n_digits < len && at[len - n_digits - 1] >= '0' && at[len - n_digits - 1] <= '9')
            n_digits++;
        if (n_digits != 0 && n_digits < len && at[len - n_digits - 1] == '.') {
            unsigned long number = strtoul(at + len - n_digits, NULL, 10);
            if (number < limit && number >= p->module->dims.n_fresh)
                p->module->dims.n_fresh = (unsigned)number + 1;
        }
        at += len;
    }
}

static gml_status parse_text(gml_parser *p)
{
    GML_TRY(gml_parse_graph(p, NULL, &p->module->main));
    GML_TRY(restore_written(p));
    gml_parser_skip(p);
    if (*p->at != '\0')
        return gml_parser_expected(p, "the end of the text");
    return p->status;
}

static const char *keep(gml_arena *arena, const char *text)
{
    return text == NULL ? NULL : gml_arena_text(arena, text, strlen(text));
}

/* Copies the places of the diagnostics from number `first` on out of the module. */
static void keep_places(gml_diags *diags, size_t first)
{
    for (size_t i = first; i < diags->list.count; i++) {
        gml_loc *loc = &diags->list.items[i].loc;
        loc->file = keep(diags->arena, loc->file);
        loc->node = keep(diags->arena, loc->node);
        loc->op = keep(diags->arena, loc->op);
    }
}

bool gml_text_is(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && text[i] && strchr(" \t\r\n", text[i]))
        i++;
    return len - i > 6 && memcmp(text + i, "graph", 5) == 0 &&
           (text[i + 5] == ' ' || text[i + 5] == '@');
}

gml_status gml_text_parse(const char *text, size_t len, const char *file, gml_diags *diags,
                          gml_module **out_module)
{
    *out_module = NULL;
    size_t n_before = diags->list.count;
    gml_module *module = gml_module_create(file);
    gml_parser p = {.module = module, .diags = diags, .file = module->file, .line = 1};
    p.text = gml_arena_text(&module->arena, text, len);
    p.at = p.text;
    p.counted = p.text;
    gml_map_init(&p.names, &module->arena);
    reserve_fresh_names(&p);
    void *locale = gml_numeric_locale_enter();
    gml_status status = parse_text(&p);
    gml_numeric_locale_leave(locale);
    if (status == GML_OK && strlen(p.text) != len)
        status =
            gml_fail(diags, GML_E_INVALID, gml_parser_loc(&p), "the text holds a NUL byte");
    if (status != GML_OK) {
        keep_places(diags, n_before);
        gml_module_destroy(module);
        return status;
    }
    *out_module = module;
    return GML_OK;
}
