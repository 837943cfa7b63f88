/* api/weights_file.h - an artifact's constants as a file beside it, in the safetensors format
 * (api/safetensors.h), with a checksum of all elements in its metadata. What was packed for the
 * kernels is U8.
 */
#ifndef GML_API_WEIGHTS_FILE_H
#define GML_API_WEIGHTS_FILE_H

#include "base/file.h"
#include "runtime/artifact.h"

/* Puts the file into `writer`, which is open and empty, and lets `plan` refer to it as `name`.
 * GML_E_IO or GML_E_MEMORY, without a diagnostic: the writer has the reason. */
GML_MUST_CHECK gml_status gml_weights_put(gml_artifact_plan *plan, const char *name,
                                          gml_writer *writer);

/* A sink whose bytes 0, … are bytes `base`, … of the file. */
typedef struct gml_file_sink {
    gml_writer *writer;
    uint64_t base;
} gml_file_sink;

gml_sink gml_sink_of(gml_file_sink *file);

#endif
