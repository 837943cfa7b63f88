/* eval/ridge.c - a linear probe in closed form: least squares to ones and zeros.
 *
 * Rows are brought to mean 0 and variance 1, then columns by the statistics of the training
 * rows. With X the rows and a column of ones, Y a one at each row's class and n rows,
 *
 *     W = (X^T X + n strength diag(1, …, 1, 0))^-1 X^T Y
 *
 * and the largest column of X W is the class. The strength is the one of 1e-5, 1e-4, … 1 that
 * does best in cross-validation: the training rows, in a drawn order, are cut into five folds,
 * each is predicted by a fit to the four others, and all that are right count. Of equal
 * strengths it is the largest. Then it is fitted to all.
 */
#include "data/random.h"
#include "eval/methods.h"

#include <string.h>

#define GML_N_STRENGTHS 6
#define GML_N_FOLDS     5

static const double strengths[GML_N_STRENGTHS] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1};

typedef struct ridge {
    const gml_eval_data *data;
    const gml_eval_context *context;
    gml_arena arena;
    int64_t width;  /* of a row, with the 1 */
    gml_rows train; /* in the drawn order */
    gml_sums folds[GML_N_FOLDS];
    gml_sums fit;    /* of the folds that are fitted to */
    double *factors; /* (width, width) */
    double *weights; /* (width, classes) */
} ridge;

uint32_t *gml_ridge_order(uint32_t n, const gml_eval_context *context)
{
    uint32_t *order = gml_new_array(context->arena, uint32_t, n);
    gml_rng rng;
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    gml_rng_init(&rng, context->seed, 0, 0, GML_DRAW_EVAL);
    gml_rng_shuffle(&rng, order, n);
    return order;
}

static gml_status solve(ridge *r, const gml_sums *sums, double n, double strength)
{
    int64_t width = r->width;
    memcpy(r->factors, sums->gram, (size_t)(width * width) * sizeof *r->factors);
    memcpy(r->weights, sums->moments, (size_t)(width * sums->n_classes) * sizeof *r->weights);
    for (int64_t d = 0; d < width - 1; d++)
        r->factors[d * width + d] += n * strength;
    if (gml_solve_positive(r->factors, width, r->weights, sums->n_classes))
        return GML_OK;
    return gml_fail(r->context->diags, GML_E_RANGE, (gml_loc){0},
                    "the normal equations of %s with strength %g cannot be solved",
                    r->data->train->kind, strength);
}

static gml_rows rows_of(const ridge *r, int number)
{
    gml_rows rows = r->train;
    size_t begin = r->train.n * (size_t)number / GML_N_FOLDS;
    size_t end = r->train.n * ((size_t)number + 1) / GML_N_FOLDS;
    rows.indices += begin;
    rows.n = end - begin;
    return rows;
}

/* Adds up all folds but `left_out`. */
static void add_folds(ridge *r, int left_out)
{
    size_t n_gram = (size_t)(r->width * r->width);
    size_t n_moments = (size_t)(r->width * r->fit.n_classes);
    memset(r->fit.gram, 0, n_gram * sizeof *r->fit.gram);
    memset(r->fit.moments, 0, n_moments * sizeof *r->fit.moments);
    for (int f = 0; f < GML_N_FOLDS; f++) {
        for (size_t i = 0; f != left_out && i < n_gram; i++)
            r->fit.gram[i] += r->folds[f].gram[i];
        for (size_t i = 0; f != left_out && i < n_moments; i++)
            r->fit.moments[i] += r->folds[f].moments[i];
    }
}

static gml_status choose(ridge *r, double *out_strength)
{
    const gml_eval_data *data = r->data;
    gml_scores scores[GML_N_STRENGTHS];
    for (int i = 0; i < GML_N_STRENGTHS; i++)
        gml_scores_init(&scores[i], data->n_classes, data->train->count, &r->arena);
    for (int f = 0; f < GML_N_FOLDS; f++) {
        gml_rows rest = rows_of(r, f);
        add_folds(r, f);
        for (int i = 0; i < GML_N_STRENGTHS; i++) {
            GML_TRY(solve(r, &r->fit, (double)(r->train.n - rest.n), strengths[i]));
            GML_TRY(
                gml_rows_score(&rest, r->weights, data->train_labels, &scores[i], r->context));
        }
    }
    int best = 0;
    for (int i = 1; i < GML_N_STRENGTHS; i++)
        best = scores[i].right >= scores[best].right ? i : best;
    *out_strength = strengths[best];
    return GML_OK;
}

static gml_sums new_sums(ridge *r)
{
    int64_t n_classes = r->data->n_classes;
    return (gml_sums){.gram = gml_new_array(&r->arena, double, r->width * r->width),
                      .moments = gml_new_array(&r->arena, double, r->width *n_classes),
                      .labels = r->data->train_labels,
                      .n_classes = n_classes};
}

static gml_status sum_rows(ridge *r)
{
    r->fit = new_sums(r);
    for (int f = 0; f < GML_N_FOLDS; f++) {
        gml_rows rows = rows_of(r, f);
        r->folds[f] = new_sums(r);
        GML_TRY(gml_rows_sum(&rows, &r->folds[f], r->context));
    }
    return GML_OK;
}

static gml_status run(ridge *r, gml_ridge *out)
{
    const gml_eval_data *data = r->data;
    size_t n = (size_t)data->train->count;
    double *mean = gml_new_array(&r->arena, double, r->width);
    double *scale = gml_new_array(&r->arena, double, r->width);
    r->factors = gml_new_array(&r->arena, double, r->width * r->width);
    r->weights = gml_new_array(&r->arena, double, r->width * data->n_classes);
    r->train = (gml_rows){.features = data->train,
                          .indices = gml_ridge_order((uint32_t)n, r->context),
                          .n = n,
                          .form = GML_ROW_NORM};
    gml_rows_measure(&r->train, mean, scale);
    r->train.mean = mean;
    r->train.scale = scale;
    GML_TRY(sum_rows(r));
    if (out->strength == 0)
        GML_TRY(choose(r, &out->strength));
    add_folds(r, GML_N_FOLDS);
    GML_TRY(solve(r, &r->fit, (double)n, out->strength));
    gml_rows test = {.features = data->test,
                     .n = (size_t)data->test->count,
                     .form = GML_ROW_NORM,
                     .mean = mean,
                     .scale = scale};
    gml_scores_init(&out->scores, data->n_classes, data->test->count, r->context->arena);
    return gml_rows_score(&test, r->weights, data->test_labels, &out->scores, r->context);
}

gml_status gml_ridge_run(gml_ridge *ridge_out, const gml_eval_data *data,
                         const gml_eval_context *context)
{
    ridge r = {.data = data, .context = context, .width = data->train->dim + 1};
    gml_arena_init(&r.arena);
    gml_status status = run(&r, ridge_out);
    gml_arena_reset(&r.arena);
    return status;
}
