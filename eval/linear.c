#include "eval/linear.h"

#include <math.h>
#include <string.h>

#define GML_CHUNK       1024 /* rows of a run */
#define GML_ROW_EPSILON 1e-6

/* ---- rows -------------------------------------------------------------------------------- */

gml_rows gml_rows_all(const gml_features *features)
{
    return (gml_rows){.features = features, .n = (size_t)features->count};
}

static void shape_row(double *row, int64_t dim, gml_row_form form)
{
    double mean = 0;
    double squares = 0;
    for (int64_t d = 0; d < dim; d++)
        mean += row[d] / (double)dim;
    for (int64_t d = 0; d < dim; d++)
        squares += (row[d] - mean) * (row[d] - mean);
    double length =
        form == GML_ROW_NORM ? sqrt(squares / (double)dim + GML_ROW_EPSILON) : sqrt(squares);
    for (int64_t d = 0; d < dim; d++)
        row[d] = length > 0 ? (row[d] - mean) / length : 0;
}

void gml_rows_get(const gml_rows *rows, size_t i, double *out)
{
    int64_t dim = rows->features->dim;
    size_t row = rows->indices != NULL ? rows->indices[i] : i;
    const float *from = rows->features->data + (int64_t)row * dim;
    for (int64_t d = 0; d < dim; d++)
        out[d] = from[d];
    if (rows->form != GML_ROW_PLAIN)
        shape_row(out, dim, rows->form);
    for (int64_t d = 0; d < dim && rows->mean != NULL; d++)
        out[d] = (out[d] - rows->mean[d]) * rows->scale[d];
}

/* Two passes: sums of squares of what is far from 0 lose their digits. */
void gml_rows_measure(const gml_rows *rows, double *out_mean, double *out_scale)
{
    gml_rows plain = *rows;
    gml_arena arena;
    gml_arena_init(&arena);
    int64_t dim = rows->features->dim;
    double *row = gml_new_array(&arena, double, dim);
    plain.mean = plain.scale = NULL;
    memset(out_mean, 0, (size_t)dim * sizeof *out_mean);
    memset(out_scale, 0, (size_t)dim * sizeof *out_scale);
    for (size_t i = 0; i < rows->n; i++) {
        gml_rows_get(&plain, i, row);
        for (int64_t d = 0; d < dim; d++)
            out_mean[d] += row[d] / (double)rows->n;
    }
    for (size_t i = 0; i < rows->n; i++) {
        gml_rows_get(&plain, i, row);
        for (int64_t d = 0; d < dim; d++)
            out_scale[d] += (row[d] - out_mean[d]) * (row[d] - out_mean[d]) / (double)rows->n;
    }
    for (int64_t d = 0; d < dim; d++) {
        double noise = 1e-12 * (1 + fabs(out_mean[d])); /* of rounding */
        double deviation = sqrt(out_scale[d]);
        out_scale[d] = deviation > noise ? 1 / deviation : 0;
    }
    gml_arena_reset(&arena);
}

/* ---- sums -------------------------------------------------------------------------------- */

/* x (rows, dim + 1), y (rows, classes) -> x^T x, x^T y */
static gml_builder *build_sums(int64_t width, int64_t n_classes)
{
    gml_builder *b = gml_builder_create("sums", 0, 0);
    gml_value *x = gml_eval_matrix(b, "x", GML_F64, GML_CHUNK, width);
    gml_value *y =
        n_classes > 0 ? gml_eval_matrix(b, "y", GML_F64, GML_CHUNK, n_classes) : NULL;
    gml_builder_output(b, gml_eval_product(b, x, true, x, false), "gram");
    if (y != NULL)
        gml_builder_output(b, gml_eval_product(b, x, true, y, false), "moments");
    return b;
}

static void add_up(double *sum, const gml_rvalue *part, int64_t n)
{
    const double *from = part->tensor.data;
    for (int64_t i = 0; i < n; i++)
        sum[i] += from[i];
}

static gml_status sum_chunks(const gml_rows *rows, const gml_sums *sums, gml_eval_graph *graph,
                             gml_arena *arena, gml_diags *diags)
{
    int64_t width = rows->features->dim + 1;
    int64_t n_classes = sums->moments != NULL ? sums->n_classes : 0;
    double *x = gml_new_array(arena, double, GML_CHUNK *width);
    double *y = gml_new_array(arena, double, GML_CHUNK *(n_classes + 1));
    const gml_tensor inputs[] = {gml_eval_view(GML_F64, GML_CHUNK, width, x),
                                 gml_eval_view(GML_F64, GML_CHUNK, n_classes, y)};
    for (size_t first = 0; first < rows->n; first += GML_CHUNK) {
        /* rows of zeros behind the last one count for nothing */
        memset(x, 0, (size_t)(GML_CHUNK * width) * sizeof *x);
        memset(y, 0, (size_t)(GML_CHUNK * n_classes) * sizeof *y);
        for (size_t i = 0; i < GML_CHUNK && first + i < rows->n; i++) {
            double *row = x + (int64_t)i * width;
            size_t number = rows->indices != NULL ? rows->indices[first + i] : first + i;
            gml_rows_get(rows, first + i, row);
            row[width - 1] = 1;
            if (n_classes > 0)
                y[(int64_t)i * n_classes + sums->labels[number]] = 1;
        }
        GML_TRY(gml_eval_graph_run(graph, GML_EVAL_RUN, inputs, diags));
        add_up(sums->gram, &graph->outputs[GML_EVAL_RUN][0], width * width);
        if (n_classes > 0)
            add_up(sums->moments, &graph->outputs[GML_EVAL_RUN][1], width * n_classes);
    }
    return GML_OK;
}

gml_status gml_rows_sum(const gml_rows *rows, const gml_sums *sums,
                        const gml_eval_context *context)
{
    gml_eval_graph graph;
    gml_arena arena;
    gml_builder *b =
        build_sums(rows->features->dim + 1, sums->moments != NULL ? sums->n_classes : 0);
    GML_TRY(gml_eval_graph_open(&graph, b, false, context));
    gml_arena_init(&arena);
    gml_status status = sum_chunks(rows, sums, &graph, &arena, context->diags);
    gml_arena_reset(&arena);
    gml_eval_graph_close(&graph);
    return status;
}

/* ---- scores ------------------------------------------------------------------------------ */

static gml_status score_chunks(const gml_rows *rows, const double *weights,
                               const int64_t *labels, gml_scores *scores, gml_eval_graph *graph,
                               const gml_eval_context *context)
{
    gml_arena arena;
    gml_arena_init(&arena);
    int64_t width = rows->features->dim + 1;
    int64_t n_classes = scores->n_classes;
    double *x = gml_new_array(&arena, double, GML_CHUNK *width);
    double *w = gml_arena_copy(&arena, weights, (size_t)(width * n_classes) * sizeof *w);
    const gml_tensor inputs[] = {gml_eval_view(GML_F64, GML_CHUNK, width, x),
                                 gml_eval_view(GML_F64, width, n_classes, w)};
    gml_status status = GML_OK;
    for (size_t first = 0; first < rows->n && status == GML_OK; first += GML_CHUNK) {
        size_t n = rows->n - first < GML_CHUNK ? rows->n - first : GML_CHUNK;
        for (size_t i = 0; i < n; i++) {
            gml_rows_get(rows, first + i, x + (int64_t)i * width);
            x[(int64_t)(i + 1) * width - 1] = 1;
        }
        status = gml_eval_graph_run(graph, GML_EVAL_RUN, inputs, context->diags);
        for (size_t i = 0; i < n && status == GML_OK; i++) {
            size_t row = rows->indices != NULL ? rows->indices[first + i] : first + i;
            const double *y = graph->outputs[GML_EVAL_RUN][0].tensor.data;
            gml_scores_add_row(scores, labels[row], y + (int64_t)i * n_classes);
        }
    }
    gml_arena_reset(&arena);
    return status;
}

gml_status gml_rows_score(const gml_rows *rows, const double *weights, const int64_t *labels,
                          gml_scores *scores, const gml_eval_context *context)
{
    gml_eval_graph graph;
    int64_t width = rows->features->dim + 1;
    gml_builder *b = gml_builder_create("scores", 0, 0);
    gml_value *x = gml_eval_matrix(b, "x", GML_F64, GML_CHUNK, width);
    gml_value *w = gml_eval_matrix(b, "w", GML_F64, width, scores->n_classes);
    gml_builder_output(b, gml_eval_product(b, x, false, w, false), "y");
    GML_TRY(gml_eval_graph_open(&graph, b, false, context));
    gml_status status = score_chunks(rows, weights, labels, scores, &graph, context);
    gml_eval_graph_close(&graph);
    return status;
}

/* ---- small systems ----------------------------------------------------------------------- */

double gml_dot(const double *x, const double *y, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* A = L L^T, row by row. */
static bool factor(double *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double *row = a + i * n;
        for (int64_t k = 0; k < i; k++)
            row[k] = (row[k] - gml_dot(row, a + k * n, k)) / a[k * n + k];
        double rest = row[i] - gml_dot(row, row, i);
        if (!(rest > 0))
            return false;
        row[i] = sqrt(rest);
    }
    return true;
}

/* b[i] -= share b[k], rows of `columns` */
static void subtract(double *b, int64_t i, int64_t k, double share, int64_t columns)
{
    for (int64_t c = 0; c < columns; c++)
        b[i * columns + c] -= share * b[k * columns + c];
}

static void divide(double *b, int64_t i, double by, int64_t columns)
{
    for (int64_t c = 0; c < columns; c++)
        b[i * columns + c] /= by;
}

bool gml_solve_positive(double *a, int64_t n, double *b, int64_t columns)
{
    if (!factor(a, n))
        return false;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < i; k++)
            subtract(b, i, k, a[i * n + k], columns);
        divide(b, i, a[i * n + i], columns);
    }
    for (int64_t i = n; i-- > 0;) {
        divide(b, i, a[i * n + i], columns);
        for (int64_t k = 0; k < i; k++)
            subtract(b, k, i, a[i * n + k], columns);
    }
    return true;
}
