/* api/names.h - "there is no input called imag: did you mean image?" */
#ifndef GML_API_NAMES_H
#define GML_API_NAMES_H

#include "base/diag.h"

/* Fails with GML_E_USAGE: no `what` ("input", "dimension") is called `name`. Notes name the
 * nearest and all of the `n_names` there are. */
gml_status gml_name_fail(gml_diags *diags, gml_loc loc, const char *what, const char *name,
                         const char *const *names, size_t n_names);

#endif
