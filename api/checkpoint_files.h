/* api/checkpoint_files.h - the names of a run's checkpoints. Private to api/. */
#ifndef GML_API_CHECKPOINT_FILES_H
#define GML_API_CHECKPOINT_FILES_H

#include "base/diag.h"

#include <stdbool.h>

typedef struct gml_checkpoint_steps {
    int64_t *items; /* newest first */
    size_t count;
} gml_checkpoint_steps;

/* FOLDER/checkpoint-000000120SUFFIX, in `arena`. */
const char *gml_checkpoint_path(const char *folder, int64_t step, const char *suffix,
                                gml_arena *arena);
/* Those that have a manifest. GML_E_IO. */
GML_MUST_CHECK gml_status gml_checkpoint_list(const char *folder, gml_arena *arena,
                                              gml_checkpoint_steps *out_steps,
                                              gml_diags *diags);
/* Removes checkpoints before `step` but the newest `keep` - 1. What cannot be removed stays. */
void gml_checkpoint_prune(const char *folder, int64_t step, int64_t keep);

#endif
