/* eval/scores.h - how often predictions are right, and how many directions features use. */
#ifndef GML_EVAL_SCORES_H
#define GML_EVAL_SCORES_H

#include "eval/features.h"

typedef struct gml_scores {
    int64_t n_classes, count;
    int64_t right, right5; /* of `count`: the first is the class, the class is among five */
    bool has_top5;         /* there were scores, and more than five classes */
    int64_t *confusion;    /* (n_classes, n_classes): of the class, by prediction */
    int64_t *predicted;    /* (count) */
} gml_scores;

/* All in the arena; nothing is counted yet. */
void gml_scores_init(gml_scores *scores, int64_t n_classes, int64_t count, gml_arena *arena);
/* The next prediction for a picture of class `label`. */
void gml_scores_add(gml_scores *scores, int64_t label, int64_t predicted);
/* The same, of a score for each class: the largest, of equal ones the first. */
void gml_scores_add_row(gml_scores *scores, int64_t label, const double *row);
double gml_scores_accuracy(const gml_scores *scores);
/* The share of the class's pictures that is right; NaN when there is none. */
double gml_scores_class(const gml_scores *scores, int64_t class);
/* The mean of those over the classes that have pictures. */
double gml_scores_balanced(const gml_scores *scores);

/* The exponential of the entropy of the covariance's eigenvalues, their sum being 1: from 1 (a
 * line) to the number of features. 0 when all rows are equal. */
GML_MUST_CHECK gml_status gml_features_rank(const gml_features *features, double *out_rank,
                                            const gml_eval_context *context);

#endif
