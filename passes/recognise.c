/* passes/recognise.c - operators that a graph spells out become one node again.
 *
 * Exporters write activations and normalisations in arithmetic. As one node they say what they
 * mean, are computed by formulas that neither overflow nor round in between, and are what later
 * passes look for. The rules are the rows of passes/recognise.def. */
#include "passes/rewrite.h"

static const gml_rule_row rows[] = {
#define X(from, to, where) {from, to, where},
#include "passes/recognise.def"
#undef X
};

const gml_rule_table gml_rules_recognise = {"recognise", rows, sizeof rows / sizeof *rows};

gml_status gml_pass_recognise(gml_graph *graph, gml_pass_cx *cx, bool *out_changed)
{
    return gml_rewrite(graph, cx, &gml_rules_recognise, out_changed);
}
