/* cli/train_data.h - gemel train --data: steps over a folder of pictures. Private to cli/.
 *
 *     gml_data_run *run = NULL;
 *     gml_data_run_open(&options, model, session, &run, diags)
 *     if (!gml_data_run_resumes(run)) … set the first states …
 *     gml_data_run_steps(run, diags)
 *     gml_data_run_close(run)
 *
 * The loop is one thread's. It says on standard error what happens, and prints steps.
 */
#ifndef GML_CLI_TRAIN_DATA_H
#define GML_CLI_TRAIN_DATA_H

#include "api/pictures.h"

/* To begin with as gml_data_options_init leaves it. */
typedef struct gml_data_options {
    const char *folder; /* of pictures; NULL: no such training */
    const char *run;    /* the folder for checkpoints and logs */
    gml_pictures_options pictures;
    int64_t steps;      /* in all, with those before a resume; 0: as the model says */
    int64_t save_every; /* steps; 0: an epoch, and 100 at least */
    int64_t keep;       /* checkpoints */
    int64_t log_every, monitor_every;
    bool resume, json;
    gml_str *memory_report; /* printed behind the step that compiled */
    const char *first;      /* the first option that makes sense with a folder only */
} gml_data_options;

/* Rows of the option table for what gml_data_options_handle knows. */
#define GML_DATA_OPTIONS                                                                       \
    {"data", "DIR", "train on the pictures of a folder (docs/data.md)"},                       \
        {"run", "DIR", "of --data: where checkpoints and logs go (run)"},                      \
        {"resume", NULL, "go on from the newest whole checkpoint of --run"},                   \
        {"save-every", "N", "steps between two checkpoints (an epoch, and 100 at least)"},     \
        {"keep", "N", "checkpoints that are kept (2)"},                                        \
        {"log-every", "N", "steps between two lines of the log (10)"},                         \
        {"monitor-every", "N", "steps between two looks at the targets' rank (50)"},           \
        {"crop-min", "X", "least share of a picture that a view shows (0.08)"},                \
        {"flip", "P", "probability that a view is mirrored (0.5)"},                            \
        {"color", "on|off", "jitter, grey, blur and solarise at all (as the model says)"},     \
        {"jitter", "P", "and the probability of each (0.8)"}, {"grey", "P", "(0.2)"},          \
        {"blur", "P[,P]", "of the first view and the second (1,0.1)"},                         \
        {"solarise", "P", "of the second view (0.2)"},                                         \
        {"mask", "block|random", "which patches are masked (as the model says)"},              \
        {"patch", "N", "pixels a side of a patch (as the model says, or 16)"},                 \
        {"workers", "N", "threads that load pictures (1)"},                                    \
        {"ahead", "N", "batches that they load ahead (2)"},                                    \
        {"max-bad", "N", "pictures of an epoch that may be unusable and are replaced (100)"},  \
    {                                                                                          \
        "fast-jpeg", NULL, "decode large JPEG smaller: other pixels, sooner"                   \
    }

void gml_data_options_init(gml_data_options *options);
/* True when the option was one of these; then *out_ok says whether the value will do. */
bool gml_data_options_handle(gml_data_options *options, const char *name, const char *value,
                             bool *out_ok);

typedef struct gml_data_run gml_data_run;

/* Finds the checkpoint to go on from, and its place in the data. `session` outlives the run.
 * After a failure there is nothing to close. */
GML_MUST_CHECK gml_status gml_data_run_open(const gml_data_options *options,
                                            gml_session *session, gml_data_run **out_run,
                                            gml_diags *diags);
/* Were the states taken from a checkpoint? */
bool gml_data_run_resumes(const gml_data_run *run);
/* Trains until the last step, or until a signal wants an end (then it is saved, and
 * gml_cli_wanted_ending tells). */
GML_MUST_CHECK gml_status gml_data_run_steps(gml_data_run *run, gml_diags *diags);
void gml_data_run_close(gml_data_run *run); /* accepts NULL */

#endif
