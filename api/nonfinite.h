/* api/nonfinite.h - numbers that are none: which tensor has the first? */
#ifndef GML_API_NONFINITE_H
#define GML_API_NONFINITE_H

#include "api/session.h"

/* Whether an element of a tensor of floats is infinite or no number. */
bool gml_tensor_nonfinite(const gml_tensor *tensor);
/* The name of the first state that has such an element; NULL: none has. */
GML_MUST_CHECK gml_status gml_states_nonfinite(const gml_states *states, const char **out_name,
                                               gml_diags *diags);

typedef struct gml_nonfinite {
    const char *value; /* the ONNX value, in the arena; NULL: all that is stored is finite */
    const char *node;  /* that it comes from, "" when not known */
} gml_nonfinite;

/* Runs a step from `states`, which it changes, on all inputs of the model, and says which value
 * that is stored is the first, in the order of computing, with such an element. The inputs and
 * the states come before all others. GML_E_UNSUPPORTED for a compiled model, whose values
 * nobody sees. */
GML_MUST_CHECK gml_status gml_nonfinite_find(const gml_model *model, gml_states *states,
                                             const gml_rvalue *inputs, gml_arena *arena,
                                             gml_nonfinite *out_first, gml_diags *diags);

#endif
