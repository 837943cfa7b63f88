/* base/dim_text.c - size expressions as text.
 *
 *     dim    = "?" | factor            a factor here is a constant, a name, a call or
 * parenthesised sum    = term { ("+" | "-") term } term   = factor { ("*" | "/" | "%") factor }
 *     factor = constant | name | quoted | "(" sum ")" | ("min" | "max") "(" sum "," sum ")"
 *
 * Quotients and remainders inside a sum are printed in parentheses of their own.
 */
#include "base/dim.h"
#include "base/quote.h"

#include <string.h>

/* Far deeper than anything the printer writes, shallow enough for any stack. */
#define GML_DIM_MAX_DEPTH 300

/* ---- Printing --------------------------------------------------------------------------- */

static void print_name(const char *name, gml_str *out)
{
    bool is_function = strcmp(name, "min") == 0 || strcmp(name, "max") == 0;
    if (!is_function && gml_is_plain_name(name))
        gml_str_puts(out, name);
    else
        gml_quote_print(name, strlen(name), out);
}

static void print_bare(const gml_dim_pool *pool, gml_dim dim, gml_str *out);

/* A sum's term after a sign: a negative coefficient prints as its magnitude. */
static void print_positive(const gml_dim_pool *pool, const gml_dim_expr *product, gml_dim coef,
                           gml_str *out)
{
    print_bare(pool, product->a, out);
    if (coef != -1)
        gml_str_printf(out, " * %lld", -(long long)coef);
}

static void print_sum(const gml_dim_pool *pool, const gml_dim_expr *sum, gml_str *out)
{
    print_bare(pool, sum->a, out);
    const gml_dim_expr *term =
        gml_dim_is_const(sum->b) ? NULL : &pool->exprs.items[gml_dim_index(sum->b)];
    if (term == NULL) {
        gml_str_printf(out, " %c %lld", sum->b < 0 ? '-' : '+',
                       sum->b < 0 ? -(long long)sum->b : (long long)sum->b);
    } else if (term->op == GML_DIM_MUL && gml_dim_is_const(term->b) && term->b < 0) {
        gml_str_puts(out, " - ");
        print_positive(pool, term, term->b, out);
    } else {
        gml_str_puts(out, " + ");
        print_bare(pool, sum->b, out);
    }
}

/* Sums and products without parentheses around them, everything else as a factor. */
static void print_bare(const gml_dim_pool *pool, gml_dim dim, gml_str *out)
{
    const gml_dim_expr *expr =
        gml_dim_is_const(dim) ? NULL : &pool->exprs.items[gml_dim_index(dim)];
    if (expr != NULL && expr->op == GML_DIM_ADD) {
        print_sum(pool, expr, out);
    } else if (expr != NULL && expr->op == GML_DIM_MUL) {
        print_bare(pool, expr->a, out);
        gml_str_puts(out, " * ");
        print_bare(pool, expr->b, out);
    } else {
        gml_dim_print(pool, dim, out);
    }
}

void gml_dim_print(const gml_dim_pool *pool, gml_dim dim, gml_str *out)
{
    if (gml_dim_is_const(dim)) {
        gml_str_printf(out, "%lld", (long long)dim);
        return;
    }
    const gml_dim_expr *expr = &pool->exprs.items[gml_dim_index(dim)];
    switch (expr->op) {
    case GML_DIM_SYMBOL: print_name(expr->name, out); return;
    case GML_DIM_ADD:
    case GML_DIM_MUL:
        gml_str_putc(out, '(');
        print_bare(pool, dim, out);
        break;
    case GML_DIM_DIV:
    case GML_DIM_MOD:
        gml_str_putc(out, '(');
        gml_dim_print(pool, expr->a, out);
        gml_str_puts(out, expr->op == GML_DIM_DIV ? " / " : " % ");
        gml_dim_print(pool, expr->b, out);
        break;
    case GML_DIM_MIN:
    case GML_DIM_MAX:
        gml_str_puts(out, expr->op == GML_DIM_MIN ? "min(" : "max(");
        print_bare(pool, expr->a, out);
        gml_str_puts(out, ", ");
        print_bare(pool, expr->b, out);
        break;
    }
    gml_str_putc(out, ')');
}

/* ---- Parsing ---------------------------------------------------------------------------- */

typedef struct dim_parser {
    gml_dim_pool *pool;
    const char *at;
    int depth;
} dim_parser;

static void skip_blanks(dim_parser *parser)
{
    while (*parser->at == ' ' || *parser->at == '\t')
        parser->at++;
}

static bool accept(dim_parser *parser, char byte)
{
    skip_blanks(parser);
    if (*parser->at != byte)
        return false;
    parser->at++;
    return true;
}

static bool parse_sum(dim_parser *parser, gml_dim *out_dim);

static bool parse_constant(dim_parser *parser, gml_dim *out_dim)
{
    bool is_negative = *parser->at == '-';
    const char *at = parser->at + is_negative;
    int64_t value = 0;
    if (*at < '0' || *at > '9')
        return false;
    for (; *at >= '0' && *at <= '9'; at++) {
        value = value * 10 + (*at - '0');
        if (!gml_dim_is_const(value))
            return false;
        if (value > GML_DIM_LIMIT / 10 && at[1] >= '0' && at[1] <= '9')
            return false;
    }
    parser->at = at;
    *out_dim = is_negative ? -value : value;
    return true;
}

static bool parse_call(dim_parser *parser, gml_dim *out_dim)
{
    bool is_min = parser->at[1] == 'i';
    gml_dim a;
    gml_dim b;
    parser->at += 3;
    if (!accept(parser, '(') || !parse_sum(parser, &a) || !accept(parser, ',') ||
        !parse_sum(parser, &b) || !accept(parser, ')'))
        return false;
    *out_dim = is_min ? gml_dim_min(parser->pool, a, b) : gml_dim_max(parser->pool, a, b);
    return true;
}

static bool parse_name(dim_parser *parser, gml_dim *out_dim)
{
    size_t len = gml_plain_name_len(parser->at);
    gml_string name = {parser->at, len};
    if (len == 3 && (memcmp(name.data, "min", 3) == 0 || memcmp(name.data, "max", 3) == 0))
        return parse_call(parser, out_dim);
    gml_arena *arena = parser->pool->arena;
    if (len != 0) {
        name.data = gml_arena_text(arena, name.data, len);
        parser->at += len;
    } else if (!gml_quote_parse(arena, &parser->at, &name) || strlen(name.data) != name.len) {
        return false;
    }
    *out_dim = gml_dim_symbol(parser->pool, name.data);
    return true;
}

static bool parse_factor(dim_parser *parser, gml_dim *out_dim)
{
    skip_blanks(parser);
    if (*parser->at == '-' || (*parser->at >= '0' && *parser->at <= '9'))
        return parse_constant(parser, out_dim);
    if (*parser->at != '(' && gml_plain_name_len(parser->at) == 0)
        return parse_name(parser, out_dim);
    if (parser->depth == GML_DIM_MAX_DEPTH)
        return false;
    parser->depth++;
    bool good = *parser->at == '('
                    ? accept(parser, '(') && parse_sum(parser, out_dim) && accept(parser, ')')
                    : parse_name(parser, out_dim);
    parser->depth--;
    return good;
}

static bool parse_term(dim_parser *parser, gml_dim *out_dim)
{
    if (!parse_factor(parser, out_dim))
        return false;
    for (;;) {
        gml_dim factor;
        skip_blanks(parser);
        char op = *parser->at;
        if (op != '*' && op != '/' && op != '%')
            return true;
        parser->at++;
        if (!parse_factor(parser, &factor))
            return false;
        if (op == '*')
            *out_dim = gml_dim_mul(parser->pool, *out_dim, factor);
        else if (op == '/')
            *out_dim = gml_dim_div(parser->pool, *out_dim, factor);
        else
            *out_dim = gml_dim_mod(parser->pool, *out_dim, factor);
    }
}

static bool parse_sum(dim_parser *parser, gml_dim *out_dim)
{
    if (!parse_term(parser, out_dim))
        return false;
    for (;;) {
        gml_dim term;
        skip_blanks(parser);
        char op = *parser->at;
        if (op != '+' && op != '-')
            return true;
        parser->at++;
        if (!parse_term(parser, &term))
            return false;
        *out_dim = op == '+' ? gml_dim_add(parser->pool, *out_dim, term)
                             : gml_dim_sub(parser->pool, *out_dim, term);
    }
}

bool gml_dim_parse(gml_dim_pool *pool, const char **text, gml_dim *out_dim)
{
    dim_parser parser = {.pool = pool, .at = *text};
    bool good = true;
    skip_blanks(&parser);
    if (*parser.at == '?') {
        parser.at++;
        *out_dim = gml_dim_fresh(pool, "d");
    } else {
        good = parse_factor(&parser, out_dim);
    }
    *text = parser.at;
    return good;
}
