/* runtime/host/svmclassifier.c - classification by support vectors or by linear weights.
 *
 * With support vectors every pair of classes has a score, s = sum of coefficient * kernel +
 * rho, that votes for one of the two. With `prob_a` the pairs' scores become pairwise
 * probabilities r(i, j) = 1 / (1 + exp(a s + b)), and the class probabilities p minimise sum
 * over i, j of (r(j, i) p(i) - r(i, j) p(j))^2 with sum p = 1 (Wu, Lin and Weng, 2004; their
 * second method), found by iteration on one p at a time. */
#include "runtime/host/svm_util.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct classifier {
    gml_svm svm;
    gml_labels labels;
    const int64_t *per_class; /* support vectors */
    const float *prob_a, *prob_b;
    int64_t n_classes;
    int64_t n_pairs;
    int64_t n_scores; /* before the transform */
    bool all_positive;
    double *kernels; /* per support vector */
    double *pairs;   /* per pair */
    double *scores;  /* per class, and one spare */
    double *votes;   /* per class */
    double *matrix;  /* (classes, classes): r, then Q */
    double *product; /* per class: Q p */
    double *quadratic;
} classifier;

/* Kernels of one row, then a score and a vote per pair. Class c's vectors start at starts. */
static void score_pairs(classifier *c, int64_t row)
{
    const gml_svm *svm = &c->svm;
    for (size_t v = 0; v < svm->n_vectors; v++)
        c->kernels[v] = gml_svm_apply(svm, row, svm->vectors + v * (size_t)svm->f.width);
    memset(c->votes, 0, (size_t)c->n_classes * sizeof *c->votes);
    int64_t pair = 0;
    int64_t start_i = 0;
    for (int64_t i = 0; i < c->n_classes; start_i += c->per_class[i++]) {
        int64_t start_j = start_i + c->per_class[i];
        for (int64_t j = i + 1; j < c->n_classes; start_j += c->per_class[j++]) {
            const float *of_i = svm->coefficients + (j - 1) * (int64_t)svm->n_vectors;
            const float *of_j = svm->coefficients + i * (int64_t)svm->n_vectors;
            double sum = (double)svm->rho[pair];
            for (int64_t v = start_i; v < start_i + c->per_class[i]; v++)
                sum += (double)of_i[v] * c->kernels[v];
            for (int64_t v = start_j; v < start_j + c->per_class[j]; v++)
                sum += (double)of_j[v] * c->kernels[v];
            c->votes[sum > 0 ? i : j] += 1;
            c->pairs[pair++] = sum;
        }
    }
}

/* r(i, j) of every pair, kept away from 0 and 1. */
static void pair_probabilities(classifier *c)
{
    int64_t k = c->n_classes;
    int64_t pair = 0;
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = i + 1; j < k; j++, pair++) {
            double s = c->pairs[pair] * (double)c->prob_a[pair] + (double)c->prob_b[pair];
            double r = 1 / (1 + exp(s));
            r = r < 1e-7 ? 1e-7 : (r > 1 - 1e-7 ? 1 - 1e-7 : r);
            c->matrix[i * k + j] = r;
            c->matrix[j * k + i] = 1 - r;
        }
    }
}

/* Q(t, t) = sum of r(j, t)^2, Q(t, j) = -r(j, t) r(t, j). */
static void fill_quadratic(classifier *c)
{
    int64_t k = c->n_classes;
    for (int64_t t = 0; t < k; t++) {
        double diagonal = 0;
        for (int64_t j = 0; j < k; j++) {
            double r = c->matrix[j * k + t];
            if (j == t)
                continue;
            diagonal += r * r;
            c->quadratic[t * k + j] = -r * c->matrix[t * k + j];
        }
        c->quadratic[t * k + t] = diagonal;
    }
}

static double multiply(const classifier *c, const double *p)
{
    int64_t k = c->n_classes;
    double whole = 0;
    for (int64_t t = 0; t < k; t++) {
        c->product[t] = 0;
        for (int64_t j = 0; j < k; j++)
            c->product[t] += c->quadratic[t * k + j] * p[j];
        whole += p[t] * c->product[t];
    }
    return whole;
}

static void class_probabilities(classifier *c, double *p)
{
    int64_t k = c->n_classes;
    pair_probabilities(c);
    fill_quadratic(c);
    for (int64_t t = 0; t < k; t++)
        p[t] = 1 / (double)k;
    for (int64_t round = 0; round < (k > 100 ? k : 100); round++) {
        double whole = multiply(c, p);
        double worst = 0;
        for (int64_t t = 0; t < k; t++)
            worst = fmax(worst, fabs(c->product[t] - whole));
        if (worst < 0.005 / (double)k)
            return;
        for (int64_t t = 0; t < k; t++) {
            double q = c->quadratic[t * k + t];
            double step = (whole - c->product[t]) / q;
            p[t] += step;
            whole = (whole + step * (step * q + 2 * c->product[t])) / ((1 + step) * (1 + step));
            for (int64_t j = 0; j < k; j++) {
                c->product[j] = (c->product[j] + step * c->quadratic[t * k + j]) / (1 + step);
                p[j] /= 1 + step;
            }
        }
    }
}

/* One row: scores before the transform, and the number of the label. */
static int64_t score_row(classifier *c, int64_t row)
{
    const gml_svm *svm = &c->svm;
    if (svm->n_vectors == 0) {
        for (int64_t k = 0; k < c->n_classes; k++)
            c->scores[k] = gml_svm_apply(svm, row, svm->coefficients + k * svm->f.width) +
                           (double)svm->rho[0];
        int64_t best = gml_best(c->scores, c->n_classes);
        if (c->labels.count == 2 || svm->n_rho != 1)
            return best;
        return c->scores[best] > 0 ? 1 : 0;
    }
    score_pairs(c, row);
    int64_t best = gml_best(c->votes, c->n_classes);
    if (c->prob_a != NULL)
        class_probabilities(c, c->scores);
    else
        memcpy(c->scores, c->pairs, (size_t)c->n_pairs * sizeof *c->scores);
    if (svm->n_rho == 1 && c->labels.count == 2 && c->prob_a == NULL && c->all_positive)
        return c->votes[best] >= 0.5 ? 1 : best;
    return best;
}

/* A single score of two classes becomes two. */
static int64_t transform_scores(classifier *c)
{
    if (c->n_scores != 1) {
        gml_transform_scores(c->svm.transform, c->scores, c->n_scores);
        return c->n_scores;
    }
    if (c->svm.transform == GML_TRANSFORM_PROBIT || c->labels.count != 2) {
        gml_transform_scores(c->svm.transform == GML_TRANSFORM_PROBIT ? GML_TRANSFORM_PROBIT
                                                                      : GML_TRANSFORM_NONE,
                             c->scores, 1);
        return 1;
    }
    c->scores[1] = c->scores[0];
    c->scores[0] = -c->scores[0];
    gml_transform_scores(c->svm.transform, c->scores, 2);
    return 2;
}

static gml_status check_sizes(gml_host_call *call, classifier *c)
{
    size_t n_a = 0;
    size_t n_b = 0;
    const gml_svm *svm = &c->svm;
    c->prob_a = gml_host_floats(call, "prob_a", &n_a);
    c->prob_b = gml_host_floats(call, "prob_b", &n_b);
    if (n_a == 0 || svm->n_vectors == 0)
        c->prob_a = NULL;
    uint64_t k = (uint64_t)c->n_classes;
    bool fits = svm->n_vectors == 0
                    ? svm->n_coefficients / k >= (uint64_t)svm->f.width
                    : svm->n_coefficients / svm->n_vectors >= k - 1 &&
                          svm->n_rho >= (uint64_t)c->n_pairs &&
                          (c->prob_a == NULL || (n_a >= (uint64_t)c->n_pairs && n_b >= n_a));
    if (!fits)
        return gml_host_fail(
            call, GML_E_INVALID,
            "coefficients, rho or probabilities do not fit %" PRId64 " classes", c->n_classes);
    c->n_scores = svm->n_vectors == 0 || c->prob_a != NULL ? c->n_classes : c->n_pairs;
    c->all_positive = true;
    for (size_t i = 0; i < svm->n_coefficients; i++)
        c->all_positive &= svm->coefficients[i] >= 0;
    return GML_OK;
}

static gml_status read_attributes(gml_host_call *call, classifier *c)
{
    size_t n_listed = 0;
    size_t n_vectors = 0;
    c->per_class = gml_host_ints(call, "vectors_per_class", &n_listed);
    for (size_t i = 0; i < n_listed; i++) {
        if (c->per_class[i] < 0 || c->per_class[i] > INT32_MAX)
            return gml_host_fail(call, GML_E_INVALID, "vectors_per_class has %" PRId64,
                                 c->per_class[i]);
        n_vectors += (size_t)c->per_class[i];
    }
    GML_TRY(gml_svm_init(&c->svm, call, n_vectors));
    c->labels = gml_host_labels(call, "classlabels_ints", "classlabels_strings");
    c->n_classes = c->labels.count > 0 ? c->labels.count : 1;
    if (n_vectors > 0 && (int64_t)n_listed != c->n_classes)
        return gml_host_fail(call, GML_E_INVALID, "%zu classes have vectors, not %" PRId64,
                             n_listed, c->n_classes);
    if (c->n_classes > 1 << 20)
        return gml_host_fail(call, GML_E_INVALID, "%" PRId64 " classes", c->n_classes);
    c->n_pairs = c->n_classes * (c->n_classes - 1) / 2;
    return check_sizes(call, c);
}

static bool alloc_buffers(classifier *c, gml_scratch *scratch)
{
    int64_t k = c->n_classes;
    int64_t square = c->prob_a != NULL ? k * k : 0;
    c->kernels = gml_scratch_array(scratch, double, c->svm.n_vectors);
    c->pairs = gml_scratch_array(scratch, double, c->svm.n_vectors == 0 ? 0 : c->n_pairs);
    c->scores = gml_scratch_array(scratch, double, c->n_scores + 1);
    c->votes = gml_scratch_array(scratch, double, k);
    c->product = gml_scratch_array(scratch, double, k);
    c->matrix = gml_scratch_array(scratch, double, square);
    c->quadratic = gml_scratch_array(scratch, double, square);
    return c->kernels != NULL && c->pairs != NULL && c->scores != NULL && c->votes != NULL &&
           c->product != NULL && c->matrix != NULL && c->quadratic != NULL;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    classifier c = {0};
    GML_TRY(read_attributes(call, &c));
    int64_t rows = c.svm.f.rows;
    int64_t *picked = gml_scratch_array(scratch, int64_t, rows);
    if (picked == NULL || !alloc_buffers(&c, scratch))
        return gml_host_no_memory(call);
    const gml_tensor *z = NULL;
    bool splits =
        c.n_scores == 1 && c.labels.count == 2 && c.svm.transform != GML_TRANSFORM_PROBIT;
    int64_t dims[2] = {rows, splits ? 2 : c.n_scores};
    if (call->n_outputs > 1)
        GML_TRY(gml_host_alloc(call, 1, GML_F32, 2, dims, &z));
    for (int64_t row = 0; row < rows; row++) {
        picked[row] = score_row(&c, row);
        int64_t count = transform_scores(&c);
        for (int64_t i = 0; z != NULL && i < count; i++)
            gml_host_put(z, row * count + i, c.scores[i]);
    }
    /* A lone linear score gives 0 or 1, which are no positions among the labels. */
    if (c.svm.n_vectors == 0 && c.labels.count < 2 && c.labels.names.dtype != GML_STRING)
        c.labels = (gml_labels){0};
    return gml_host_set_labels(call, &c.labels, picked, rows, scratch);
}

gml_status gml_host_svmclassifier(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
