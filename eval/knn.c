/* eval/knn.c - nearest neighbours by cosine. */
#include "eval/methods.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define GML_MAX_QUERIES      256
#define GML_MAX_SIMILARITIES ((int64_t)1 << 26) /* at once */

/* queries (Q, D), bank (N, D) -> similarities and numbers of the k nearest, (Q, k) */
static gml_builder *build(int64_t n_queries, const gml_features *bank, int64_t k)
{
    gml_builder *b = gml_builder_create("knn", 0, 0);
    gml_value *queries = gml_eval_matrix(b, "queries", GML_F32, n_queries, bank->dim);
    gml_value *rows = gml_eval_matrix(b, "bank", GML_F32, bank->count, bank->dim);
    gml_value *similarities = gml_eval_product(b, queries, false, rows, true);
    gml_value *top = gml_builder_node(
        b, &(gml_node_spec){.op = "TopK",
                            .inputs = {similarities, gml_builder_ints(b, "k", &k, 1)},
                            .n_outputs = 2});
    gml_builder_output(b, top, "similarities");
    gml_builder_output(b, gml_builder_result(b, top, 1), "neighbours");
    return b;
}

/* Rows of length 1; one of zeros stays. */
static gml_status normalise(const gml_features *from, gml_features *out, gml_diags *diags)
{
    GML_TRY(gml_features_alloc(from->kind, from->count, from->dim, out, diags));
    for (int64_t i = 0; i < from->count; i++) {
        const float *row = from->data + i * from->dim;
        double sum = 0;
        for (int64_t d = 0; d < from->dim; d++)
            sum += (double)row[d] * row[d];
        double scale = sum > 0 ? 1 / sqrt(sum) : 0;
        for (int64_t d = 0; d < from->dim; d++)
            out->data[i * from->dim + d] = (float)(row[d] * scale);
    }
    return GML_OK;
}

/* Neighbours of all test rows, batch by batch. */
static gml_status find(gml_knn *knn, const gml_features *bank, const gml_features *queries,
                       const gml_eval_context *context)
{
    int64_t batch = GML_MAX_SIMILARITIES / bank->count;
    int64_t dim = bank->dim;
    gml_eval_graph graph;
    batch = batch > GML_MAX_QUERIES ? GML_MAX_QUERIES : batch < 1 ? 1 : batch;
    batch = batch > queries->count ? queries->count : batch;
    GML_TRY(gml_eval_graph_open(&graph, build(batch, bank, knn->k), false, context));
    gml_status status = GML_OK;
    for (int64_t first = 0; first < queries->count && status == GML_OK; first += batch) {
        if (first + batch > queries->count)
            first = queries->count - batch; /* some of them again */
        const gml_tensor inputs[] = {
            gml_eval_view(GML_F32, batch, dim, queries->data + first * dim),
            gml_eval_view(GML_F32, bank->count, dim, bank->data)};
        status = gml_eval_graph_run(&graph, GML_EVAL_RUN, inputs, context->diags);
        if (status != GML_OK)
            break;
        const gml_rvalue *out = graph.outputs[GML_EVAL_RUN];
        size_t n = (size_t)(batch * knn->k);
        memcpy(knn->similarities + first * knn->k, out[0].tensor.data, n * sizeof(float));
        memcpy(knn->neighbours + first * knn->k, out[1].tensor.data, n * sizeof(int64_t));
    }
    gml_eval_graph_close(&graph);
    return status;
}

static void vote(gml_knn *knn, const gml_eval_data *data, gml_arena *arena)
{
    double *votes = gml_new_array(arena, double, data->n_classes);
    gml_scores_init(&knn->scores, data->n_classes, data->test->count, arena);
    for (int64_t i = 0; i < data->test->count; i++) {
        memset(votes, 0, (size_t)data->n_classes * sizeof *votes);
        for (int64_t j = i * knn->k; j < (i + 1) * knn->k; j++) {
            double above = knn->similarities[j] - knn->similarities[i * knn->k];
            votes[data->train_labels[knn->neighbours[j]]] +=
                knn->temperature > 0 ? exp(above / knn->temperature) : 1;
        }
        gml_scores_add_row(&knn->scores, data->test_labels[i], votes);
    }
    knn->scores.has_top5 = false; /* most classes have no votes */
}

gml_status gml_knn_check(const gml_knn *knn, int64_t n, gml_diags *diags)
{
    if (knn->k <= n)
        return GML_OK;
    return gml_fail(diags, GML_E_USAGE, (gml_loc){0},
                    "%" PRId64 " training pictures have no %" PRId64 " neighbours", n, knn->k);
}

gml_status gml_knn_run(gml_knn *knn, const gml_eval_data *data, const gml_eval_context *context)
{
    gml_features bank = {NULL};
    gml_features queries = {NULL};
    int64_t n = data->test->count;
    GML_TRY(gml_knn_check(knn, data->train->count, context->diags));
    knn->neighbours = gml_new_array(context->arena, int64_t, n * knn->k);
    knn->similarities = gml_new_array(context->arena, float, n * knn->k);
    gml_status status = normalise(data->train, &bank, context->diags);
    if (status == GML_OK)
        status = normalise(data->test, &queries, context->diags);
    if (status == GML_OK)
        status = find(knn, &bank, &queries, context);
    if (status == GML_OK)
        vote(knn, data, context->arena);
    gml_features_reset(&bank);
    gml_features_reset(&queries);
    return status;
}
