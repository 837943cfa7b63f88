/* eval/methods.h - what features are worth, each method a graph of ours (docs/eval.md).
 *
 * Labels are those of the training set's classes, from 0 to n_classes - 1. Scores and
 * predictions are in the context's arena.
 */
#ifndef GML_EVAL_METHODS_H
#define GML_EVAL_METHODS_H

#include "eval/linear.h"
#include "eval/mixing.h"
#include "eval/scores.h"

/* Features of both sets, with their classes. */
typedef struct gml_eval_data {
    const gml_features *train, *test;
    const int64_t *train_labels, *test_labels;
    int64_t n_classes;
} gml_eval_data;

/* ---- knn.c: nearest neighbours by cosine ------------------------------------------------- */

typedef struct gml_knn {
    int64_t k;
    double temperature; /* a neighbour counts exp(similarity / temperature); 0: 1 */
    /* the result */
    gml_scores scores;
    int64_t *neighbours; /* (test, k): rows of the training set, the nearest first */
    float *similarities; /* (test, k) */
} gml_knn;

/* GML_E_USAGE when `n` training pictures have no k neighbours. */
GML_MUST_CHECK gml_status gml_knn_check(const gml_knn *knn, int64_t n, gml_diags *diags);
/* The class with most votes, of equal ones the smallest number. */
GML_MUST_CHECK gml_status gml_knn_run(gml_knn *knn, const gml_eval_data *data,
                                      const gml_eval_context *context);

/* ---- ridge.c: a linear probe in closed form -----------------------------------------------
 */

typedef struct gml_ridge {
    double strength; /* of the penalty, times the number of rows; 0: chosen, and said here */
    gml_scores scores;
} gml_ridge;

GML_MUST_CHECK gml_status gml_ridge_run(gml_ridge *ridge, const gml_eval_data *data,
                                        const gml_eval_context *context);
/* The order in which rows are cut into five folds, each of which is predicted by the others. */
uint32_t *gml_ridge_order(uint32_t n, const gml_eval_context *context);

/* ---- probe.c: a linear probe by LARS ------------------------------------------------------
 */

/* Where an epoch's features come from: `epoch` is from 0; `rows` are those of the training set;
 * `out` is (n, dim). */
typedef struct gml_probe_source {
    gml_status (*get)(void *context, uint32_t epoch, const uint32_t *rows, size_t n,
                      float *out);
    void *context;
} gml_probe_source;

typedef struct gml_probe {
    int64_t epochs, warmup; /* the rate rises over `warmup` of them */
    int64_t batch;
    double lr;               /* of a batch of 256: times batch / 256 */
    gml_probe_source source; /* `get` NULL: the training features as they are */
    const gml_eval_watch *watch;
    gml_scores scores;
    double loss; /* of the last epoch, its mean */
    /* tensors in the context's arena: before the first step and behind the last one */
    gml_tensor initial;        /* of the weight, (dim, n_classes) */
    gml_tensor weight, bias;   /* (dim, n_classes), (n_classes) */
    gml_tensor mean, variance; /* running, (1, dim) */
} gml_probe;

GML_MUST_CHECK gml_status gml_probe_run(gml_probe *probe, const gml_eval_data *data,
                                        const gml_eval_context *context);

/* ---- fewshot.c: logistic regression --------------------------------------------------------
 */

typedef struct gml_fewshot {
    const uint32_t *rows; /* of the training set that count; NULL: all */
    size_t n;
    double lambda;    /* the penalty is lambda / 2 times the squares of the weights */
    double tolerance; /* of the duality gap, as a share of the loss */
    int64_t max_steps;
    gml_scores scores;
    int64_t steps; /* that it took */
    double loss, gap;
    gml_tensor weight; /* (dim, n_classes), in the context's arena */
} gml_fewshot;

/* GML_E_RANGE when the gap is not reached in `max_steps`. */
GML_MUST_CHECK gml_status gml_fewshot_run(gml_fewshot *fewshot, const gml_eval_data *data,
                                          const gml_eval_context *context);
/* `shots` rows of each class, drawn; or all of a class that has less. In the arena. */
uint32_t *gml_fewshot_draw(const gml_eval_data *data, int64_t shots, size_t *out_n,
                           const gml_eval_context *context);

/* ---- finetune.c: all weights, and a classifier ----------------------------------------------
 */

typedef struct gml_finetune {
    int64_t epochs, warmup; /* the rate rises over `warmup` of them */
    double lr, min_lr;      /* `lr` of a batch of 256: times batch / 256 */
    double decay, layer_decay;
    double rand_augment; /* the magnitude, 0 to GML_RAND_MOST; 0: none */
    double drop_path;    /* probability that the last block's branches are left out */
    gml_mixing mixing;
    const gml_eval_watch *watch;
    gml_scores scores;
    double loss;        /* of the last epoch, its mean */
    int64_t n_branches; /* that are left out now and then */
} gml_finetune;

/* The backbone as it is opened, and the pictures. */
typedef struct gml_finetune_data {
    const gml_backbone_options *options;
    const gml_backbone *backbone;
    const gml_eval_recipe *recipe;
    const gml_eval_set *train, *test;
} gml_finetune_data;

GML_MUST_CHECK gml_status gml_finetune_run(gml_finetune *finetune,
                                           const gml_finetune_data *data,
                                           const gml_eval_context *context);

#endif
