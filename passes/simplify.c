/* passes/simplify.c - identities: what can be said with fewer or simpler nodes and gives the
 * same result. The rules are the rows of passes/simplify.def. */
#include "passes/rewrite.h"

static const gml_rule_row rows[] = {
#define X(from, to, where) {from, to, where},
#include "passes/simplify.def"
#undef X
};

const gml_rule_table gml_rules_simplify = {"simplify", rows, sizeof rows / sizeof *rows};

gml_status gml_pass_simplify(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    return gml_rewrite(graph, cx, &gml_rules_simplify, out_changed);
}
