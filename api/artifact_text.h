/* api/artifact_text.h - the C text around an artifact. Private to api/. */
#ifndef GML_API_ARTIFACT_TEXT_H
#define GML_API_ARTIFACT_TEXT_H

#include "base/str.h"
#include "runtime/program.h"

/* The C source of the library's entry points. */
void gml_artifact_stub(const gml_program *program, const char *name, gml_str *out);

#endif
