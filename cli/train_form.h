/* cli/train_form.h - how a plain model is to be trained, as options say it. Private to cli/. */
#ifndef GML_CLI_TRAIN_FORM_H
#define GML_CLI_TRAIN_FORM_H

#include "api/train_form.h"
#include "cli/given.h"

/* To begin with as gml_train_options_init leaves it. */
typedef struct gml_train_options {
    gml_arena *arena;
    gml_train_form form; /* complete after gml_train_options_finish; no loss: not asked for */
    gml_vec(const char *) freeze, only;
    const char *first;     /* the first option that makes sense with a loss only */
    const char *form_path; /* where the form is written; NULL: nowhere */
    bool external_data;    /* of that file */
    bool list;             /* every weight is printed */
} gml_train_options;

/* Rows of the option table for what gml_train_options_handle knows. */
#define GML_TRAIN_OPTIONS                                                                      \
    {"loss", "LOSS", "cross-entropy, mse, or the output whose mean it is"},                    \
        {"output", "NAME", "the logits, or what the target is for (the first output)"},        \
        {"label-smoothing", "S", "of cross-entropy (0)"},                                      \
        {"class-axis", "N", "of logits without a softmax (1)"},                                \
        {"optimizer", "NAME", "adamw (default), sgd or lars"},                                 \
        {"lr", "X", "the learning rate (0.001 of adamw, 0.01 of sgd, 0.1 of lars)"},           \
        {"betas", "X,Y", "of adamw (0.9,0.999)"}, {"epsilon", "X", "of adamw (1e-8)"},         \
        {"weight-decay", "X", "of rank 2 and more but *.bias (0.01 of adamw, else 0)"},        \
        {"momentum", "X", "of sgd (0) and lars (0.9)"},                                        \
        {"nesterov", NULL, "Nesterov's momentum, of sgd"}, {"trust", "X", "of lars (0.001)"},  \
        {"schedule", "NAME", "of the learning rate: const (default), cosine or linear"},       \
        {"warmup", "N", "updates in which the rate rises from 0 (0)"},                         \
        {"total", "N", "updates after which the schedule ends (those of --steps)"},            \
        {"min-lr", "X", "where it ends (0)"},                                                  \
        {"clip", "X", "the longest that all gradients together may be (any length)"},          \
        {"accumulate", "N", "steps that make one update (1)"},                                 \
        {"freeze", "GLOB", "do not train these weights"},                                      \
        {"train-only", "GLOB", "train no weights but these"},                                  \
        {"batch-norm", "HOW", "frozen (default), or train: by the batch's statistics"},        \
        {"form", "FILE.onnx", "write the model with this training algorithm"},                 \
        {"external-data", NULL, "of --form: weights beside the model, in FILE.data"},          \
    {                                                                                          \
        "list", NULL, "say of each weight whether it is trained"                               \
    }

void gml_train_options_init(gml_train_options *options, gml_arena *arena);
/* True when the option was one of these; then *out_ok says whether the value will do. */
bool gml_train_options_handle(gml_train_options *options, const char *name, const char *value,
                              bool *out_ok);
/* Fills in what was not given. `steps` are those to be run. */
GML_MUST_CHECK gml_status gml_train_options_finish(gml_train_options *options, int64_t steps,
                                                   gml_diags *diags);
/* Says what of the model at `path` is trained, and writes the form if that is wanted. */
GML_MUST_CHECK gml_status gml_train_plan(const gml_train_options *options, const char *path,
                                         const gml_given *given, bool json, gml_diags *diags);

#endif
