/* runtime/host/linearclassifier.c - one linear score per class. With two classes and one set of
 * coefficients, the classes score -s and s; with one score otherwise, a threshold decides. */
#include "runtime/host/ml_util.h"

#include <inttypes.h>

typedef struct linear {
    gml_features f;
    const float *coefficients, *intercepts;
    int64_t n_scores;  /* sets of coefficients */
    int64_t n_results; /* scores per row */
    gml_transform transform;
    gml_labels labels;
} linear;

static gml_status read_attributes(gml_host_call *call, linear *l)
{
    size_t n_coefficients = 0;
    size_t n_intercepts = 0;
    GML_TRY(gml_host_features(call, &l->f));
    GML_TRY(gml_host_transform(call, &l->transform));
    l->labels = gml_host_labels(call, "classlabels_ints", "classlabels_strings");
    l->coefficients = gml_host_floats(call, "coefficients", &n_coefficients);
    l->intercepts = gml_host_floats(call, "intercepts", &n_intercepts);
    if (l->f.width == 0 || n_coefficients == 0 || n_coefficients % (size_t)l->f.width != 0)
        return gml_host_fail(call, GML_E_INVALID, "%zu coefficients for %" PRId64 " features",
                             n_coefficients, l->f.width);
    l->n_scores = (int64_t)n_coefficients / l->f.width;
    if (n_intercepts == 0)
        l->intercepts = NULL;
    else if (n_intercepts != (uint64_t)l->n_scores)
        return gml_host_fail(call, GML_E_INVALID, "%zu intercepts for %" PRId64 " scores",
                             n_intercepts, l->n_scores);
    l->n_results = l->n_scores == 1 && l->labels.count == 2 ? 2 : l->n_scores;
    return GML_OK;
}

static void score_row(const linear *l, int64_t row, double *scores)
{
    for (int64_t c = 0; c < l->n_scores; c++) {
        scores[c] = l->intercepts != NULL ? (double)l->intercepts[c] : 0;
        for (int64_t i = 0; i < l->f.width; i++)
            scores[c] += gml_host_get_float(l->f.x, row * l->f.width + i) *
                         (double)l->coefficients[c * l->f.width + i];
    }
    if (l->n_results > l->n_scores) {
        scores[1] = scores[0];
        scores[0] = -scores[0];
    }
    gml_transform_scores(l->transform, scores, l->n_results);
}

/* The number of a row's label; with one score, -1 (no label) below the threshold. */
static int64_t pick(const linear *l, const double *scores)
{
    if (l->n_results > 1)
        return gml_best(scores, l->n_results);
    bool is_one = scores[0] >= (l->transform == GML_TRANSFORM_NONE ? 0 : 0.5);
    if (l->labels.count == 0)
        return is_one;
    return is_one ? 0 : -1;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    linear l = {0};
    GML_TRY(read_attributes(call, &l));
    int64_t *picked = gml_scratch_array(scratch, int64_t, l.f.rows);
    double *scores = gml_scratch_array(scratch, double, l.n_results);
    if (picked == NULL || scores == NULL)
        return gml_host_no_memory(call);
    const gml_tensor *z = NULL; /* (rows, scores) */
    if (call->n_outputs > 1)
        GML_TRY(
            gml_host_alloc(call, 1, GML_F32, 2, (const int64_t[]){l.f.rows, l.n_results}, &z));
    for (int64_t row = 0; row < l.f.rows; row++) {
        score_row(&l, row, scores);
        picked[row] = pick(&l, scores);
        for (int64_t c = 0; z != NULL && c < l.n_results; c++)
            gml_host_put(z, row * l.n_results + c, scores[c]);
    }
    return gml_host_set_labels(call, &l.labels, picked, l.f.rows, scratch);
}

gml_status gml_host_linearclassifier(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
