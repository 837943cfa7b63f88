/* eval/eval.h - an evaluation from folders of pictures to accuracies (docs/eval.md).
 *
 *     gml_eval e = {.context = context, .options = &options};
 *     status = gml_eval_run(&e);      e.results, e.kinds
 *     gml_eval_close(&e);             also after a failure
 */
#ifndef GML_EVAL_EVAL_H
#define GML_EVAL_EVAL_H

#include "eval/methods.h"
#include "frontend/npy.h"
#include "gemel/preparation.h"

#define GML_EVAL_METHODS(X)                                                                    \
    X(KNN, "knn")                                                                              \
    X(RIDGE, "ridge")                                                                          \
    X(LINEAR, "linear")                                                                        \
    X(FEWSHOT, "fewshot")                                                                      \
    X(FINETUNE, "finetune")

typedef enum gml_eval_method {
#define X(code, name) GML_EVAL_##code,
    GML_EVAL_METHODS(X)
#undef X
        GML_EVAL_METHOD_COUNT
} gml_eval_method;

const char *gml_eval_method_name(gml_eval_method method);

typedef struct gml_eval_options {
    gml_backbone_options backbone;
    const char *train, *test; /* folders */
    gml_filter filter;
    gml_preparation preparation; /* what is given of it: it comes before the model's */
    bool wants[GML_EVAL_METHOD_COUNT];
    gml_knn knn; /* what is given of each */
    gml_ridge ridge;
    gml_probe probe;
    bool augment; /* the probe sees random crops, each epoch others */
    gml_fewshot fewshot;
    gml_finetune finetune;
    int64_t shots;       /* pictures a class for it; 0: all */
    const char *subset;  /* a file that names them, a line each; NULL: none */
    const char *numbers; /* .npz for features and predictions; NULL: nowhere */
    gml_eval_watch watch;
} gml_eval_options;

/* A number that a method has to say. */
typedef struct gml_eval_detail {
    const char *name;
    double value;
} gml_eval_detail;

#define GML_EVAL_DETAILS 4

typedef struct gml_eval_result {
    gml_eval_method method;
    const char *features; /* their kind */
    gml_scores scores;
    gml_eval_detail details[GML_EVAL_DETAILS]; /* up to one without name */
} gml_eval_result;

typedef struct gml_eval_kind {
    const char *name;
    int64_t dim;
    double rank;    /* of the training features; NaN: not found */
    bool is_pixels; /* of the pictures themselves: too long for more than neighbours */
    bool is_grey;
} gml_eval_kind;

typedef struct gml_eval {
    /* given */
    const gml_eval_options *options;
    gml_eval_context context;
    /* found */
    gml_eval_set train, test;
    gml_backbone backbone;
    gml_eval_recipe recipe;
    gml_features features[2][GML_MAX_FEATURES]; /* of train and test */
    int n_kinds;
    gml_eval_kind kinds[GML_MAX_FEATURES];
    gml_vec(gml_eval_result) results;
    gml_knn shown;                     /* the neighbours of the first kind; `k` 0: none */
    gml_vec(gml_named_tensor) tensors; /* what methods found, for `numbers` */
} gml_eval;

GML_MUST_CHECK gml_status gml_eval_run(gml_eval *eval);
void gml_eval_close(gml_eval *eval);

#endif
