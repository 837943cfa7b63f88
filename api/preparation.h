/* api/preparation.h - how a model wants its pictures, out of its metadata. */
#ifndef GML_API_PREPARATION_H
#define GML_API_PREPARATION_H

#include "api/session.h"
#include "gemel/preparation.h"

/* Adds what the model's metadata says and `preparation` does not have yet: options come first,
 * and an entry that one overrides is not looked at. GML_E_INVALID, with file and key, for an
 * entry that says nothing that can be used. */
GML_MUST_CHECK gml_status gml_preparation_complete(gml_preparation *preparation,
                                                   const gml_model *model, gml_diags *diags);

#endif
