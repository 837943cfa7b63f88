/* ir/verify.h - what must hold of every graph, checked.
 *
 * Operands are defined before their use and are visible there: in the same graph, or in one
 * around it. Values know their definition, index and graph; ids are unique. Operand and result
 * counts and the attributes fit the operator's table. Types are known, and their sizes are
 * sizes. Lists are linked both ways, regions know their owner.
 *
 * A result that nobody wants (its name is "") has no uses and may have an unknown type.
 *
 * Every fault is a diagnostic that names the node, with GML_E_INVALID; checking goes on after
 * one.
 */
#ifndef GML_IR_VERIFY_H
#define GML_IR_VERIFY_H

#include "ir/graph.h"

/* A graph without an owner, and everything in it. */
gml_status gml_graph_verify(const gml_graph *graph, gml_diags *diags);
/* The main graph, which must exist. */
gml_status gml_module_verify(const gml_module *module, gml_diags *diags);

#endif
