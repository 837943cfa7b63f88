/* api/states.h - the states of a module (runtime/states.h), and states by name. */
#ifndef GML_API_STATES_H
#define GML_API_STATES_H

#include "api/safetensors.h"
#include "gemel/gemel.h"
#include "ir/graph.h"
#include "runtime/states.h"

/* One port for each of module->states, in `arena`; what points into the module stays there.
 * Those that the file does not hold take their type from the graph's result. */
gml_state_port *gml_state_ports(const gml_module *module, gml_arena *arena);

/* GML_E_USAGE, with the names there are, when none is called so. */
GML_MUST_CHECK gml_status gml_states_find(const gml_states *states, const char *name,
                                          size_t *out_index, gml_diags *diags);

/* What a file of states holds: all states, in order, and of a model that has an ONNX file what
 * makes a network of this file alone (docs/weights.md): initialisers of floating point with
 * more than one element that are no states, as frozen weights are, and the metadata entries
 * "gemel.…".
 */
typedef struct gml_state_list {
    gml_arena arena;
    gml_vec(gml_safetensor) tensors; /* views of the states and of the mapped file */
    gml_vec(gml_safetensors_text) texts;
    gml_module *file; /* owns the mapping; NULL: there is none */
} gml_state_list;

/* After a failure there is nothing to be given back. */
GML_MUST_CHECK gml_status gml_state_list_make(const gml_model *model, const gml_states *states,
                                              gml_state_list *out_list, gml_diags *diags);
void gml_state_list_reset(gml_state_list *list);

/* Writes such a file, which appears whole or not at all. */
GML_MUST_CHECK gml_status gml_states_write(const gml_model *model, const gml_states *states,
                                           const char *path, gml_diags *diags);

#endif
