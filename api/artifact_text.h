/* api/artifact_text.h - the C text around an artifact. Private to api/. */
#ifndef GML_API_ARTIFACT_TEXT_H
#define GML_API_ARTIFACT_TEXT_H

#include "base/str.h"
#include "runtime/program.h"

/* The C source of the library's entry points; `image` is the path of the program's bytes. */
void gml_artifact_stub(const gml_program *program, const char *name, const char *image,
                       gml_str *out);

#endif
