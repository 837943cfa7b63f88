#include "eval/scores.h"

#include "base/eigen.h"
#include "eval/linear.h"

#include <math.h>

void gml_scores_init(gml_scores *scores, int64_t n_classes, int64_t count, gml_arena *arena)
{
    *scores = (gml_scores){.n_classes = n_classes};
    scores->confusion = gml_new_array(arena, int64_t, n_classes * n_classes);
    scores->predicted = gml_new_array(arena, int64_t, count);
}

void gml_scores_add(gml_scores *scores, int64_t label, int64_t predicted)
{
    scores->predicted[scores->count++] = predicted;
    scores->confusion[label * scores->n_classes + predicted]++;
    scores->right += predicted == label;
}

void gml_scores_add_row(gml_scores *scores, int64_t label, const double *row)
{
    int64_t best = 0;
    int64_t n_before = 0; /* classes that come before the label's */
    for (int64_t k = 0; k < scores->n_classes; k++) {
        best = row[k] > row[best] ? k : best;
        n_before += row[k] > row[label] || (row[k] == row[label] && k < label);
    }
    gml_scores_add(scores, label, best);
    scores->right5 += n_before < 5;
    scores->has_top5 = scores->n_classes > 5;
}

double gml_scores_accuracy(const gml_scores *scores)
{
    return (double)scores->right / (double)scores->count;
}

double gml_scores_class(const gml_scores *scores, int64_t class)
{
    const int64_t *row = scores->confusion + class * scores->n_classes;
    int64_t total = 0;
    for (int64_t k = 0; k < scores->n_classes; k++)
        total += row[k];
    return total > 0 ? (double)row[class] / (double)total : NAN;
}

double gml_scores_balanced(const gml_scores *scores)
{
    double sum = 0;
    int64_t n = 0;
    for (int64_t k = 0; k < scores->n_classes; k++) {
        double share = gml_scores_class(scores, k);
        if (!isnan(share)) {
            sum += share;
            n++;
        }
    }
    return n > 0 ? sum / (double)n : NAN;
}

/* ---- effective rank ---------------------------------------------------------------------- */

/* The covariance out of sums of products with a column of ones behind the features. False when
 * it is no more than rounding. */
static bool center(const double *gram, int64_t dim, double n, double *out)
{
    const double *sums = gram + dim * (dim + 1);
    double squares = 0;
    double variances = 0;
    for (int64_t i = 0; i < dim; i++) {
        for (int64_t k = 0; k < dim; k++)
            out[i * dim + k] = gram[i * (dim + 1) + k] / n - sums[i] / n * (sums[k] / n);
        squares += gram[i * (dim + 1) + i] / n;
        variances += out[i * dim + i];
    }
    return variances > 1e-12 * squares;
}

gml_status gml_features_rank(const gml_features *features, double *out_rank,
                             const gml_eval_context *context)
{
    int64_t dim = features->dim;
    gml_rows rows = gml_rows_all(features);
    gml_arena arena;
    gml_arena_init(&arena);
    gml_sums sums = {.gram = gml_new_array(&arena, double, (dim + 1) * (dim + 1))};
    double *covariance = gml_new_array(&arena, double, dim *dim);
    double *work = gml_new_array(&arena, double, 2 * dim);
    gml_status status = gml_rows_sum(&rows, &sums, context);
    *out_rank = 0;
    bool varies =
        status == GML_OK && center(sums.gram, dim, (double)features->count, covariance);
    if (varies && gml_symmetric_eigenvalues(covariance, dim, work))
        *out_rank = gml_effective_rank(work + dim, dim);
    gml_arena_reset(&arena);
    return status;
}
