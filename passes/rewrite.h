/* passes/rewrite.h - rewriting a graph by rules that are rows of text.
 *
 *     X("Sub(x, 0)", "x", "")
 *     X("Mul(x, Sigmoid(Mul(x, c)))", "Swish[alpha=c](x)", "")
 *     X("Add(x, 0)", "x", "int(x)")
 *
 * A row is a pattern, its replacement, and conditions separated by `;` (docs/rules.md has the
 * notation). In short:
 *
 *   Name(p, q)         that operator; operands of commutative ones match both ways. Attributes
 *                      that are not named have their default; Name[*](p) takes any.
 *   x                  any value; the same name again is the same value, or an equal constant
 *   x:Name(p)          the same, and x is its value
 *   _                  any value, any attribute
 *   0.5  ~1.4142136    a constant whose elements all are that number, of its sign if it is 0;
 *                      with ~, within one ulp
 *   {p|q}              either
 *   Name[a=1, b='t', c=v]   attributes: a number, a text, a variable
 *
 * What the engine promises: a rule fires only if the result keeps its type; what lies inside
 * the pattern must have no user outside of it, unless the replacement is no new node or the row
 * says `shared`; the first row that fires wins; new nodes have the location of the node they
 * replace; rules that feed each other for ever are an error that names one of them.
 *
 * Laws for authors: a row never costs more; it goes one way; what it does to NaN, infinities,
 * -0 and integers that wrap is either nothing or said beside the row; it has a case in the
 * golden file, and one that must not fire.
 */
#ifndef GML_PASSES_REWRITE_H
#define GML_PASSES_REWRITE_H

#include "passes/pass.h"

typedef struct gml_rule_row {
    const char *from;
    const char *to;
    const char *where; /* "" for none */
} gml_rule_row;

typedef struct gml_rule_table {
    const char *name; /* of the pass */
    const gml_rule_row *rows;
    size_t count;
} gml_rule_table;

/* All tables. */
extern const gml_rule_table gml_rules_simplify;
extern const gml_rule_table gml_rules_recognise;

/* GML_E_INTERNAL, with the row and the place in it, when a row is malformed. */
gml_status gml_rules_check(const gml_rule_table *table, gml_diags *diags);

/* Rewrites until no rule fires, regions included. */
gml_status gml_rewrite(gml_graph *graph, gml_pass_cx *cx, const gml_rule_table *table,
                       bool *out_changed);

#endif
