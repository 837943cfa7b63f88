/* eval/linear.h - linear algebra of the probes, in double precision.
 *
 * What is long, sums over all pictures, is a graph of ours; what is small is solved here.
 */
#ifndef GML_EVAL_LINEAR_H
#define GML_EVAL_LINEAR_H

#include "eval/scores.h"

/* What is done to a row. */
typedef enum gml_row_form {
    GML_ROW_PLAIN,
    GML_ROW_NORM, /* mean 0 and variance 1 (epsilon 1e-6) */
    GML_ROW_UNIT, /* mean 0 and length 1; a constant row becomes 0 */
} gml_row_form;

/* Which rows, and how they look: behind the form, with `mean` and `scale`, column d is
 * (x - mean[d]) scale[d]. */
typedef struct gml_rows {
    const gml_features *features;
    const uint32_t *indices; /* NULL: all rows */
    size_t n;
    gml_row_form form;
    const double *mean, *scale; /* (dim), or NULL */
} gml_rows;

gml_rows gml_rows_all(const gml_features *features);
/* Row `i` of them: `out` is (dim). */
void gml_rows_get(const gml_rows *rows, size_t i, double *out);
/* Mean and 1 / deviation of each column, of the rows without `mean` and `scale`; the scale of
 * a column that does not vary is 0. */
void gml_rows_measure(const gml_rows *rows, double *out_mean, double *out_scale);

/* Sums over rows x with a 1 behind them: x^T x, (dim + 1, dim + 1), and x^T y, (dim + 1,
 * n_classes), where y is 1 at the class of the row and 0 else. They are added to. */
typedef struct gml_sums {
    double *gram;
    double *moments;       /* NULL: not wanted, nor are classes then */
    const int64_t *labels; /* of all rows of the features */
    int64_t n_classes;
} gml_sums;

GML_MUST_CHECK gml_status gml_rows_sum(const gml_rows *rows, const gml_sums *sums,
                                       const gml_eval_context *context);

/* Row x, with a 1 behind it, times `weights`, (dim + 1, n_classes), gives a score for each
 * class: adds to `scores`, which has been begun. `labels` are of all rows of the features. */
GML_MUST_CHECK gml_status gml_rows_score(const gml_rows *rows, const double *weights,
                                         const int64_t *labels, gml_scores *scores,
                                         const gml_eval_context *context);

/* Solves A X = B in place of B, (n, columns), by Cholesky's factors, which take A's lower
 * triangle. False when A is not positive definite. */
bool gml_solve_positive(double *a, int64_t n, double *b, int64_t columns);
double gml_dot(const double *x, const double *y, int64_t n);

#endif
