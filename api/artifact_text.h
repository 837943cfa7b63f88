/* api/artifact_text.h - the C text around an artifact. Private to api/. */
#ifndef GML_API_ARTIFACT_TEXT_H
#define GML_API_ARTIFACT_TEXT_H

#include "base/str.h"
#include "runtime/artifact.h"

/* The C source of the library's entry points. */
void gml_artifact_stub(const gml_artifact_entry *entries, size_t n, const char *name,
                       gml_str *out);
/* The functions that it exports, each followed by a semicolon and a space. */
void gml_artifact_exports(const gml_artifact_entry *entries, size_t n, const char *name,
                          gml_str *out);

#endif
