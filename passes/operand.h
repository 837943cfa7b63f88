/* passes/operand.h - from an operand of a product back to the value that it is made of.
 *
 * Each step on the way copies elements, or multiplies all by the same power of two: rounding
 * them before it is the same as behind it. */
#ifndef GML_PASSES_OPERAND_H
#define GML_PASSES_OPERAND_H

#include "ir/op.h"

/* The operand of value->def that `value` is a step from, in `graph`; -1: there is none. */
int gml_operand_step(const gml_graph *graph, const gml_value *value);
/* Where the steps that lead to `value` begin; `value` itself when there are none. */
gml_value *gml_operand_source(const gml_graph *graph, gml_value *value);
/* The steps from `source` leave lines of memory lines, or whole pieces of eight elements: a
 * large product copies them as they lie. */
bool gml_operand_is_plain(const gml_graph *graph, const gml_value *value,
                          const gml_value *source);

/* The part of `whole` that value->def, a Split, gives as `value`, as a view. */
gml_value *gml_operand_part(gml_build *b, const gml_value *value, gml_value *whole);
/* The steps from `source` to `value` once more, from `wide` in the place of `source`, to be
 * computed where they are read. */
gml_value *gml_operand_repeat(gml_build *b, gml_value *value, gml_value *source,
                              gml_value *wide);

#endif
