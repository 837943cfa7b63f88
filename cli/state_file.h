/* cli/state_file.h - a model's states from a file of safetensors. Private to cli/. */
#ifndef GML_CLI_STATE_FILE_H
#define GML_CLI_STATE_FILE_H

#include "api/states.h"

/* Every state must be in the file, by its name and with its type and shape (else GML_E_INVALID,
 * GML_E_SHAPE); what else is there is of no concern. */
GML_MUST_CHECK gml_status gml_cli_load_states(const char *path, gml_states *states,
                                              gml_diags *diags);

#endif
