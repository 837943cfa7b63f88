/* api/state_file.h - a model's states as a file of safetensors, by their names. */
#ifndef GML_API_STATE_FILE_H
#define GML_API_STATE_FILE_H

#include "api/safetensors.h"
#include "api/session.h"
#include "api/states.h"
#include "frontend/initialisers.h"

/* What such a file holds: all states in their order, and beside them, of a model that has an
 * ONNX file, what makes a network of this file alone (docs/weights.md): initialisers of
 * floating point with more than one element that are no states, as frozen weights are, and the
 * metadata entries "gemel.…". Items view the states' elements and the model's file. */
typedef struct gml_state_file {
    gml_arena arena;
    gml_vec(gml_safetensor) items;
    gml_vec(gml_safetensors_text) texts;
    gml_initialisers rest;
} gml_state_file;

GML_MUST_CHECK gml_status gml_state_file_make(gml_state_file *file, const gml_model *model,
                                              const gml_states *states, gml_diags *diags);
void gml_state_file_reset(gml_state_file *file); /* after a failure too */

/* Writes it; the file appears whole or not at all. */
GML_MUST_CHECK gml_status gml_states_save(const gml_model *model, const gml_states *states,
                                          const char *path, gml_diags *diags);
/* Every state must be in the file, by its name and with its type and shape (else GML_E_INVALID,
 * GML_E_SHAPE); what else is there is of no concern. After a failure some are replaced. */
GML_MUST_CHECK gml_status gml_states_take(const gml_safetensors *file, gml_states *states,
                                          gml_diags *diags);
GML_MUST_CHECK gml_status gml_states_load(const char *path, gml_states *states,
                                          gml_diags *diags);

#endif
