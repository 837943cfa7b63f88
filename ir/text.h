/* ir/text.h - the textual IR: printer and parser. The grammar is in docs/ir.md.
 *
 *     graph @f(%x: f32[4,8]) {
 *       %z = Constant {value = [0]} : f32[]
 *       %y = Add(%z, %x) : f32[4,8]
 *       return %y
 *     }
 *
 * What is printed reads back to an equal graph, which prints to the same bytes. Two things are
 * not printed: where nodes came from, and the elements of tensors of more than
 * GML_TEXT_ELEMENTS, whose place a hash takes; a text with such a tensor is refused with a
 * diagnostic.
 */
#ifndef GML_IR_TEXT_H
#define GML_IR_TEXT_H

#include "ir/graph.h"

#define GML_TEXT_ELEMENTS 64

/* Values that nobody named are numbered in the order of printing; of values with one name, all
 * but the first get a `#` and a number after it. */
void gml_graph_print(const gml_graph *graph, gml_str *out);

/* Whether a file's first bytes are those of a graph as text. */
bool gml_text_is(const char *text, size_t len);
/* Reads the one graph in `text`, which need not be NUL-terminated, into a new module that the
 * caller destroys. `file` (may be NULL) stands in diagnostics; lines are counted from 1 at
 * `text`. Types that are not written are inferred, and those that are must agree with what is
 * inferred. Faults of syntax end the parsing, others do not. On failure `*out_module` is NULL,
 * and the diagnostics depend on nothing but their own arena. The graph is not verified. */
gml_status gml_text_parse(const char *text, size_t len, const char *file, gml_diags *diags,
                          gml_module **out_module);

#endif
