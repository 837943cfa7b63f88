/* passes/rule_parse.c - rows of text become rules.
 *
 *     pattern    = "_" | number | "~" number | variable | [variable ":"] node
 *                | "{" pattern {"|" pattern} "}"
 *     node       = Name ["[" ("*" | attr {"," attr}) "]"] "(" [pattern {"," pattern}] ")"
 *     attr       = name "=" (["~"] number | "'" text "'" | "_" | variable | call)
 *     call       = name "(" variable {"," variable} ")"
 *     conditions = condition {";" condition}
 *     condition  = "shared" | call | variable "=" pattern
 *
 * Names of operators begin with a capital, all others do not. A replacement is a node, a
 * variable or a number, and knows neither `_`, `~`, alternatives nor names for nodes.
 * Everything is checked here, so that a rule that was parsed can be used. */
#include "passes/rule.h"

#include <stdlib.h>
#include <string.h>

#define GML_MAX_PATTERN_DEPTH 16

typedef struct parser {
    const gml_rule_row *row;
    const char *table;
    const char *at;
    gml_arena *arena;
    gml_diags *diags;
    const char *names[GML_MAX_VARIABLES];
    size_t lengths[GML_MAX_VARIABLES];
    bool is_attr[GML_MAX_VARIABLES];
    int n_variables;
    bool replacing; /* reading the replacement: variables are known by now */
    int depth;
} parser;

static gml_status fail(parser *p, const char *what)
{
    return gml_fail(p->diags, GML_E_INTERNAL, (gml_loc){.file = p->table},
                    "rule '%s' -> '%s' (%s): %s at '%s'", p->row->from, p->row->to,
                    p->row->where, what, p->at);
}

/* ---- words --------------------------------------------------------------------------------
 */

static bool is_small(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_letter(char c)
{
    return is_small(c) || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool accept(parser *p, char c)
{
    while (*p->at == ' ')
        p->at++;
    if (*p->at != c)
        return false;
    p->at++;
    while (*p->at == ' ')
        p->at++;
    return true;
}

static bool begins_number(const parser *p)
{
    char c = p->at[0] == '-' ? p->at[1] : p->at[0];
    return (c >= '0' && c <= '9') || c == '.';
}

static double read_number(parser *p)
{
    char *end;
    double number = strtod(p->at, &end);
    p->at = end;
    return number;
}

static size_t read_word(parser *p, const char **out_word)
{
    *out_word = p->at;
    while (is_letter(*p->at))
        p->at++;
    return (size_t)(p->at - *out_word);
}

static gml_status read_variable(parser *p, bool is_attr, int *out_variable)
{
    const char *word;
    size_t len = read_word(p, &word);
    if (len == 0 || !is_small(*word))
        return fail(p, "no variable");
    int v = 0;
    while (v < p->n_variables && (p->lengths[v] != len || memcmp(p->names[v], word, len) != 0))
        v++;
    *out_variable = v;
    if (v < p->n_variables)
        return p->is_attr[v] == is_attr || (is_attr && p->replacing)
                   ? GML_OK
                   : fail(p, "a variable that is a value and an attribute");
    if (p->replacing)
        return fail(p, "a variable that the pattern does not have");
    if (v == GML_MAX_VARIABLES)
        return fail(p, "too many variables");
    p->names[v] = word;
    p->lengths[v] = len;
    p->is_attr[v] = is_attr;
    p->n_variables++;
    return GML_OK;
}

/* ---- calls and attributes -----------------------------------------------------------------
 */

/* What follows the name of `function`; its arguments must be known. */
static gml_status read_call(parser *p, const gml_rule_function *function, gml_rule_call *out)
{
    bool replacing = p->replacing;
    out->function = function;
    if (!accept(p, '('))
        return fail(p, "no '('");
    p->replacing = true;
    for (unsigned i = 0; i < function->n_args; i++) {
        if (i && !accept(p, ','))
            return fail(p, "no ','");
        GML_TRY(read_variable(p, true, &out->args[i]));
    }
    p->replacing = replacing;
    return accept(p, ')') ? GML_OK : fail(p, "no ')'");
}

/* The function called by the word at hand; NULL when it is none. The word is read if it is. */
static const gml_rule_function *accept_function(parser *p, bool makes)
{
    const char *start = p->at;
    const char *word;
    size_t len = read_word(p, &word);
    const gml_rule_function *function = gml_rule_function_find(word, len);
    if (*p->at == '(' && function && function->makes == makes)
        return function;
    p->at = start;
    return NULL;
}

static gml_status read_text(parser *p, gml_attr_pattern *attr)
{
    size_t len = strcspn(p->at, "'");
    attr->kind = GML_ATTR_IS_TEXT;
    attr->text = gml_arena_text(p->arena, p->at, len);
    p->at += len;
    if (attr->spec->kind != GML_ATTR_STRING)
        return fail(p, "a text for an attribute that is none");
    return accept(p, '\'') ? GML_OK : fail(p, "no end of a text");
}

static gml_status read_attr_value(parser *p, gml_attr_pattern *attr)
{
    if (accept(p, '\''))
        return read_text(p, attr);
    attr->near = accept(p, '~');
    if (begins_number(p)) {
        attr->kind = GML_ATTR_IS_NUMBER;
        attr->number = read_number(p);
        bool is_number = attr->spec->kind == GML_ATTR_INT || attr->spec->kind == GML_ATTR_FLOAT;
        return is_number && !(attr->near && p->replacing)
                   ? GML_OK
                   : fail(p, "a number that does not fit here");
    }
    if (attr->near)
        return fail(p, "no number after '~'");
    const gml_rule_function *function = p->replacing ? accept_function(p, true) : NULL;
    if (function) {
        attr->kind = GML_ATTR_IS_CALL;
        return read_call(p, function, &attr->call);
    }
    attr->kind = GML_ATTR_IS_VARIABLE;
    attr->variable = -1;
    if (!p->replacing && accept(p, '_'))
        return GML_OK;
    return read_variable(p, true, &attr->variable);
}

static gml_status read_attr(parser *p, gml_pattern *node)
{
    gml_attr_pattern attr = {0};
    const char *word;
    size_t len = read_word(p, &word);
    for (const gml_attr_spec *spec = node->op->attrs; spec && spec->name; spec++)
        if (strlen(spec->name) == len && memcmp(spec->name, word, len) == 0)
            attr.spec = spec;
    if (!attr.spec)
        return fail(p, "the operator has no such attribute");
    if (!accept(p, '='))
        return fail(p, "no '='");
    GML_TRY(read_attr_value(p, &attr));
    gml_push(p->arena, &node->attrs, attr);
    return GML_OK;
}

static gml_status read_attrs(parser *p, gml_pattern *node)
{
    if (!accept(p, '['))
        return GML_OK;
    if (!p->replacing && accept(p, '*')) {
        node->any_attrs = true;
    } else {
        do
            GML_TRY(read_attr(p, node));
        while (accept(p, ','));
    }
    return accept(p, ']') ? GML_OK : fail(p, "no ']'");
}

/* ---- patterns -----------------------------------------------------------------------------
 */

static gml_status read_pattern(parser *p, gml_pattern **out_pattern);

static gml_status read_node(parser *p, gml_pattern *node)
{
    const char *word;
    size_t len = read_word(p, &word);
    node->kind = GML_PATTERN_NODE;
    node->op = gml_op_find(NULL, gml_arena_text(p->arena, word, len));
    if (!node->op)
        return fail(p, "no operator");
    GML_TRY(read_attrs(p, node));
    if (!accept(p, '('))
        return fail(p, "no '('");
    while (!accept(p, ')')) {
        if (node->args.count && !accept(p, ','))
            return fail(p, "no ',' and no ')'");
        gml_pattern *operand;
        GML_TRY(read_pattern(p, &operand));
        gml_push(p->arena, &node->args, operand);
    }
    int n = (int)node->args.count;
    bool fits = n <= GML_MAX_PATTERN_ARGS && n >= node->op->min_in &&
                (node->op->max_in < 0 || n <= node->op->max_in) && node->op->min_out == 1;
    return fits ? GML_OK : fail(p, "the operator does not take so many operands");
}

static gml_status read_either(parser *p, gml_pattern *either)
{
    either->kind = GML_PATTERN_EITHER;
    do {
        gml_pattern *choice;
        GML_TRY(read_pattern(p, &choice));
        gml_push(p->arena, &either->args, choice);
    } while (accept(p, '|'));
    return accept(p, '}') ? GML_OK : fail(p, "no '}'");
}

static gml_status read_literal(parser *p, gml_pattern *number)
{
    number->kind = GML_PATTERN_NUMBER;
    number->near = !p->replacing && accept(p, '~');
    if (!begins_number(p))
        return fail(p, "no pattern");
    number->number = read_number(p);
    return GML_OK;
}

static gml_status read_any_pattern(parser *p, gml_pattern *pattern)
{
    pattern->variable = -1;
    if (*p->at >= 'A' && *p->at <= 'Z')
        return read_node(p, pattern);
    if (!p->replacing && accept(p, '{'))
        return read_either(p, pattern);
    if (!p->replacing && accept(p, '_')) {
        pattern->kind = GML_PATTERN_ANY;
        return GML_OK;
    }
    if (!is_small(*p->at))
        return read_literal(p, pattern);
    GML_TRY(read_variable(p, false, &pattern->variable));
    pattern->kind = GML_PATTERN_VARIABLE;
    if (p->replacing || !accept(p, ':'))
        return GML_OK;
    return *p->at >= 'A' && *p->at <= 'Z' ? read_node(p, pattern)
                                          : fail(p, "a name for what is no node");
}

static gml_status read_pattern(parser *p, gml_pattern **out_pattern)
{
    *out_pattern = gml_new(p->arena, gml_pattern);
    if (p->depth == GML_MAX_PATTERN_DEPTH)
        return fail(p, "the pattern is too deep");
    p->depth++;
    GML_TRY(read_any_pattern(p, *out_pattern));
    p->depth--;
    return GML_OK;
}

/* ---- conditions ---------------------------------------------------------------------------
 */

static bool is_shared(parser *p)
{
    const char *word;
    const char *start = p->at;
    if (read_word(p, &word) == 6 && memcmp(word, "shared", 6) == 0 && *p->at != '=')
        return true;
    p->at = start;
    return false;
}

static gml_status read_condition(parser *p, gml_rule *rule)
{
    if (is_shared(p)) {
        rule->shared = true;
        return GML_OK;
    }
    gml_rule_condition condition = {0};
    const gml_rule_function *function = accept_function(p, false);
    if (function) {
        GML_TRY(read_call(p, function, &condition.call));
    } else {
        int before = p->n_variables;
        gml_pattern *pattern;
        GML_TRY(read_variable(p, false, &condition.variable));
        if (p->n_variables > before)
            return fail(p, "a condition on a variable that nothing binds");
        if (!accept(p, '='))
            return fail(p, "no condition");
        GML_TRY(read_pattern(p, &pattern));
        condition.pattern = pattern;
    }
    gml_push(p->arena, &rule->conditions, condition);
    return GML_OK;
}

static gml_status read_conditions(parser *p, gml_rule *rule)
{
    p->at = p->row->where;
    if (!*p->at)
        return GML_OK;
    do
        GML_TRY(read_condition(p, rule));
    while (accept(p, ';'));
    return *p->at ? fail(p, "no end") : GML_OK;
}

/* Variables of one alternative are not there in another: whoever uses them later could not. */
static bool binds(const gml_pattern *pattern, int variable)
{
    bool found = pattern->kind != GML_PATTERN_EITHER && pattern->variable == variable;
    for (size_t i = 0; i < pattern->attrs.count; i++)
        found = found || (pattern->attrs.items[i].kind == GML_ATTR_IS_VARIABLE &&
                          pattern->attrs.items[i].variable == variable);
    if (pattern->kind == GML_PATTERN_EITHER) {
        for (size_t i = 0; i < pattern->args.count; i++)
            if (!binds(pattern->args.items[i], variable))
                return false;
        return true;
    }
    for (size_t i = 0; i < pattern->args.count && !found; i++)
        found = binds(pattern->args.items[i], variable);
    return found;
}

static gml_status check_variables(parser *p, const gml_rule *rule)
{
    for (int v = 0; v < p->n_variables; v++) {
        bool bound = binds(rule->from, v);
        for (size_t i = 0; i < rule->conditions.count && !bound; i++)
            bound = rule->conditions.items[i].pattern &&
                    binds(rule->conditions.items[i].pattern, v);
        if (!bound)
            return fail(p, "a variable that only some alternatives have");
    }
    return GML_OK;
}

gml_status gml_rule_parse(const gml_rule_row *row, const char *table, gml_arena *arena,
                          gml_rule *out_rule, gml_diags *diags)
{
    parser p = {.row = row, .table = table, .arena = arena, .diags = diags};
    gml_pattern *pattern;
    *out_rule = (gml_rule){.row = row};
    p.at = row->from;
    GML_TRY(read_pattern(&p, &pattern));
    out_rule->from = pattern;
    if (*p.at)
        return fail(&p, "no end");
    if (pattern->kind != GML_PATTERN_NODE && pattern->kind != GML_PATTERN_EITHER)
        return fail(&p, "a pattern that is no node");
    GML_TRY(read_conditions(&p, out_rule));
    GML_TRY(check_variables(&p, out_rule));
    p.at = row->to;
    p.replacing = true;
    GML_TRY(read_pattern(&p, &pattern));
    out_rule->to = pattern;
    if (*p.at)
        return fail(&p, "no end");
    return pattern->kind != GML_PATTERN_NUMBER ? GML_OK
                                               : fail(&p, "a number in the place of a tensor");
}

gml_status gml_rules_check(const gml_rule_table *table, gml_diags *diags)
{
    gml_arena arena;
    gml_arena_init(&arena);
    gml_status first = GML_OK;
    for (size_t i = 0; i < table->count; i++) {
        gml_rule rule;
        gml_status status = gml_rule_parse(&table->rows[i], table->name, &arena, &rule, diags);
        if (first == GML_OK)
            first = status;
    }
    gml_arena_reset(&arena);
    return first;
}
