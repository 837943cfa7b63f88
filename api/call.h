/* api/call.h - what a call of the public API has to say when it fails. Private to api/gemel*.c.
 */
#ifndef GML_API_CALL_H
#define GML_API_CALL_H

#include "base/diag.h"

/* Diagnostics of one call; nothing is allocated while all goes well. */
typedef struct gml_call {
    gml_arena arena;
    gml_diags diags;
} gml_call;

gml_diags *gml_call_begin(gml_call *call);
/* Keeps what was said for gml_error_text, and gives `status` back. */
gml_status gml_call_end(gml_call *call, gml_status status);
/* GML_E_USAGE with this text. */
gml_status gml_call_misuse(const char *text);

#endif
