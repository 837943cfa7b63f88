/* api/state_file.h - a model's states as a file of safetensors, by their names. */
#ifndef GML_API_STATE_FILE_H
#define GML_API_STATE_FILE_H

#include "api/safetensors.h"
#include "api/states.h"

/* All of them, in their order. The items are in `arena` and view the states' elements. */
gml_safetensor *gml_states_items(const gml_states *states, gml_arena *arena);
GML_MUST_CHECK gml_status gml_states_save(const char *path, const gml_states *states,
                                          gml_diags *diags);
/* Every state must be in the file, by its name and with its type and shape (else GML_E_INVALID,
 * GML_E_SHAPE); what else is there is of no concern. After a failure some are replaced. */
GML_MUST_CHECK gml_status gml_states_take(const gml_safetensors *file, gml_states *states,
                                          gml_diags *diags);
GML_MUST_CHECK gml_status gml_states_load(const char *path, gml_states *states,
                                          gml_diags *diags);

#endif
