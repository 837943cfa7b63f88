/* api/states.h - what a model keeps from run to run: trained weights, averages, counters.
 *
 * The elements are in memory of their own, aligned to 64 bytes, and begin as the file has them.
 * Sessions may share them, so that a model is run with what steps have made of it; one of them
 * runs at a time. Refcounted.
 */
#ifndef GML_API_STATES_H
#define GML_API_STATES_H

#include "ir/graph.h"
#include "runtime/value.h"

typedef struct gml_states gml_states;

/* Copies the initial elements of module->states. Those that the file does not hold (of an
 * initialisation, which computes them) take their type from the graph's result. */
GML_MUST_CHECK gml_status gml_states_create(const gml_module *module, gml_states **out_states,
                                            gml_diags *diags);
gml_states *gml_states_retain(gml_states *states);
void gml_states_release(gml_states *states); /* accepts NULL */

size_t gml_states_count(const gml_states *states);
/* Valid while the states live. */
const char *gml_states_name(const gml_states *states, size_t index);
/* A view of its elements. */
gml_tensor gml_states_tensor(const gml_states *states, size_t index);
/* GML_E_USAGE when none is called so. */
GML_MUST_CHECK gml_status gml_states_find(const gml_states *states, const char *name,
                                          size_t *out_index, gml_diags *diags);
/* True when `module` speaks of these states: the same names and types in the same order. */
bool gml_states_fit(const gml_states *states, const gml_module *module);

#endif
