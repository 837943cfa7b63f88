/* eval/ridge.c - a linear probe in closed form: least squares to ones and zeros.
 *
 * Rows are brought to mean 0 and variance 1, then columns by the statistics of the training
 * rows. With X the rows and a column of ones, Y a one at each row's class and n rows,
 *
 *     W = (X^T X + n strength diag(1, …, 1, 0))^-1 X^T Y
 *
 * and the largest column of X W is the class. The strength is the one of 1e-5, 1e-4, … 1 that
 * does best on the last fifth of the training rows, in a drawn order, when fitted to the
 * others; of equal ones the largest. Then it is fitted to all.
 */
#include "data/random.h"
#include "eval/methods.h"

#include <string.h>

#define GML_N_STRENGTHS 6

static const double strengths[GML_N_STRENGTHS] = {1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1};

typedef struct ridge {
    const gml_eval_data *data;
    const gml_eval_context *context;
    gml_arena arena;
    int64_t width;     /* of a row, with the 1 */
    gml_rows train;    /* in the drawn order */
    gml_sums fit, all; /* of the first four fifths, and of all */
    size_t n_fit;
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

static gml_status choose(ridge *r, double *out_strength)
{
    const gml_eval_data *data = r->data;
    gml_rows rest = r->train;
    int64_t best = -1;
    rest.indices += r->n_fit;
    rest.n -= r->n_fit;
    for (int i = 0; i < GML_N_STRENGTHS; i++) {
        gml_scores scores;
        gml_scores_init(&scores, data->n_classes, data->train->count, &r->arena);
        GML_TRY(solve(r, &r->fit, (double)r->n_fit, strengths[i]));
        GML_TRY(gml_rows_score(&rest, r->weights, data->train_labels, &scores, r->context));
        if (scores.right >= best) {
            best = scores.right;
            *out_strength = strengths[i];
        }
    }
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

/* Sums of the first four fifths; with those of the rest they are the sums of all. */
static gml_status sum_rows(ridge *r)
{
    gml_rows part = r->train;
    r->fit = new_sums(r);
    r->all = new_sums(r);
    part.n = r->n_fit;
    GML_TRY(gml_rows_sum(&part, &r->fit, r->context));
    memcpy(r->all.gram, r->fit.gram, (size_t)(r->width * r->width) * sizeof(double));
    memcpy(r->all.moments, r->fit.moments,
           (size_t)(r->width * r->all.n_classes) * sizeof(double));
    part.indices = r->train.indices + r->n_fit;
    part.n = r->train.n - r->n_fit;
    return gml_rows_sum(&part, &r->all, r->context);
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
    r->n_fit = n - n / 5;
    GML_TRY(sum_rows(r));
    if (out->strength == 0)
        GML_TRY(choose(r, &out->strength));
    GML_TRY(solve(r, &r->all, (double)n, out->strength));
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
