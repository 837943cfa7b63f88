/* cli/train_run.h - a training on pictures, inside. Private to cli/train_*.c. */
#ifndef GML_CLI_TRAIN_RUN_H
#define GML_CLI_TRAIN_RUN_H

#include "api/checkpoint.h"
#include "api/events.h"
#include "cli/progress.h"
#include "cli/train_data.h"

struct gml_data_run {
    gml_data_options options;
    gml_model *model; /* the session's */
    gml_session *session;
    gml_states *states; /* the session's */
    gml_arena arena;
    int lock;
    gml_pictures *pictures;
    gml_log *log;
    gml_rvalue *inputs, *outputs;
    gml_scalar *numbers; /* one for each output, and what is added to them */
    size_t n_numbers;

    bool resumes;
    uint64_t graph;
    int64_t step, last;    /* steps done; steps to do */
    uint32_t epoch, batch; /* of the next batch */
    uint32_t bad;          /* pictures replaced in its epoch before it */
    int64_t saved;         /* step of the newest checkpoint; -1: there is none */
    const char *saved_path;
    bool *is_told; /* by picture: that it cannot be used */

    gml_cli_progress progress;
    int64_t first;     /* the step that this process began behind */
    double begin;      /* clock after the first step, which compiles */
    double line_clock; /* and where the last line ended */
    int64_t line_step;
};

/* What decides the batches, as the manifest has it: in `arena`. */
gml_checkpoint gml_data_run_place(const gml_data_run *run, gml_arena *arena);
/* Writes a checkpoint, unless this step has one. States that are not finite are refused:
 * GML_E_MISMATCH. */
GML_MUST_CHECK gml_status gml_data_run_save(gml_data_run *run, gml_diags *diags);
/* Opens the pictures, anew, for the batch that comes next. */
GML_MUST_CHECK gml_status gml_data_run_load(gml_data_run *run, gml_diags *diags);

#endif
