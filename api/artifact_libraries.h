/* api/artifact_libraries.h - the libraries behind the host operators of a program. Private to
 * api/. */
#ifndef GML_API_ARTIFACT_LIBRARIES_H
#define GML_API_ARTIFACT_LIBRARIES_H

#include "runtime/artifact.h"

/* The linker's arguments for what the programs' host operators need and no others, "-lpcre2-8";
 * ends with NULL, in `arena`. Each at most once. */
const char *const *gml_artifact_libraries(const gml_artifact_entry *entries, size_t n,
                                          gml_arena *arena);

#endif
