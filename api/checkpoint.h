/* api/checkpoint.h - where a training is, on disk.
 *
 * A run's folder holds checkpoints. One is two files:
 *
 *     checkpoint-000000120.safetensors   all states after step 120 (api/state_file.h)
 *     checkpoint-000000120.json          the manifest: what to go on with, and a checksum
 *
 * Both are written beside, flushed to the disk and renamed, the manifest last: it is what makes
 * a checkpoint. Only then are older ones removed, so that at any instant the newest whole one
 * is there. A process that is killed may leave temporaries and states without a manifest; who
 * locks the folder next removes them.
 *
 * The folder is one process's at a time: it holds a lock (`gml_run_lock`) meanwhile.
 */
#ifndef GML_API_CHECKPOINT_H
#define GML_API_CHECKPOINT_H

#include "api/state_file.h"

/* What a manifest says. */
typedef struct gml_checkpoint {
    int64_t step;          /* steps done */
    uint32_t epoch, batch; /* of the next batch */
    uint32_t bad;          /* pictures replaced so far in that epoch */
    uint64_t graph;        /* of the bytes of the model's file */
    const char *model;     /* its path */
    const char *data;      /* gml_pictures_describe; compared as a text */
    uint64_t pictures;     /* gml_pictures_hash */
    uint32_t n_pictures;
} gml_checkpoint;

/* Makes the folder unless it is there, and keeps others out of it until the process ends or
 * `gml_run_unlock`. Removes what a killed process left half written. GML_E_IO; GML_E_USAGE when
 * another process has it. */
GML_MUST_CHECK gml_status gml_run_lock(const char *folder, int *out_lock, gml_diags *diags);
void gml_run_unlock(int lock); /* accepts -1 */

/* Writes a checkpoint, then removes all before it but the newest `keep` - 1. Nothing is removed
 * after a failure. `*out_path` is the states' file, in the diags' arena. */
GML_MUST_CHECK gml_status gml_checkpoint_save(const char *folder, const gml_state_file *states,
                                              const gml_checkpoint *checkpoint, int64_t keep,
                                              const char **out_path, gml_diags *diags);

typedef struct gml_found_checkpoint {
    gml_checkpoint checkpoint; /* texts in the arena */
    const char *path;          /* of the states; NULL: the folder has no checkpoint at all */
    const char *damaged;       /* newer ones that are not whole, and why: lines; or NULL */
} gml_found_checkpoint;

/* The newest whole checkpoint: the manifest can be read, its states are there and have its
 * checksum. GML_E_INVALID when there are some and none is whole. */
GML_MUST_CHECK gml_status gml_checkpoint_find(const char *folder, gml_arena *arena,
                                              gml_found_checkpoint *out_found,
                                              gml_diags *diags);

#endif
