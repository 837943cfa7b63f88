/* runtime/host/treeensembleclassifier.c - classes scored by trees.
 *
 * When all weights speak of one class the ensemble is binary: that score s stands for the
 * second class, and the first gets 1 - s, or -s before a logistic or softmax. */
#include "runtime/host/tree_util.h"

#include <inttypes.h>

typedef struct classifier {
    gml_features f;
    gml_forest forest;
    gml_labels labels;
    gml_transform transform;
    gml_tensor base;
    bool is_binary;
    int64_t only_class; /* when binary */
    int64_t n_scores;
    double *scores; /* at least two */
    bool *is_hit;
} classifier;

static gml_status read_attributes(gml_host_call *call, classifier *c)
{
    size_t count = 0;
    const int64_t *ids = gml_host_ints(call, "class_ids", &count);
    GML_TRY(gml_host_features(call, &c->f));
    GML_TRY(gml_host_transform(call, &c->transform));
    c->labels = gml_host_labels(call, "classlabels_int64s", "classlabels_strings");
    if (c->labels.count < 1)
        return gml_host_fail(call, GML_E_INVALID, "there are no class labels");
    c->forest = (gml_forest){.n_targets = c->labels.count, .aggregate = GML_AGGREGATE_SUM};
    c->is_binary = count > 0 && c->labels.count <= 2;
    c->only_class = count > 0 ? ids[0] : 0;
    for (size_t i = 1; i < count && c->is_binary; i++)
        c->is_binary = ids[i] == ids[0];
    c->n_scores = c->is_binary ? 2 : c->labels.count;
    bool has_base = gml_host_attr_vector(call, "base_values_as_tensor", &c->base) ||
                    gml_host_attr_vector(call, "base_values", &c->base);
    if (has_base && c->base.dims[0] != 1 && c->base.dims[0] != c->labels.count)
        return gml_host_fail(call, GML_E_INVALID, "base_values do not fit %" PRId64 " classes",
                             c->labels.count);
    return GML_OK;
}

static gml_status score_row(gml_host_call *call, classifier *c, int64_t row)
{
    GML_TRY(gml_forest_score(&c->forest, call, &c->f, row, c->scores, c->is_hit));
    for (int64_t t = 0; c->base.data != NULL && t < c->forest.n_targets; t++)
        c->scores[t] += gml_host_get_float(&c->base, c->base.dims[0] == 1 ? 0 : t);
    if (c->is_binary) {
        bool is_plain =
            c->transform == GML_TRANSFORM_NONE || c->transform == GML_TRANSFORM_PROBIT;
        double score = c->scores[c->only_class];
        c->scores[1] = score;
        c->scores[0] = is_plain ? 1 - score : -score;
    }
    gml_transform_scores(c->transform, c->scores, c->n_scores);
    return GML_OK;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    classifier c = {0};
    GML_TRY(read_attributes(call, &c));
    GML_TRY(gml_forest_init_pairs(&c.forest, call, "class", c.f.width, scratch));
    int64_t *picked = gml_scratch_array(scratch, int64_t, c.f.rows);
    c.scores = gml_scratch_array(scratch, double, c.labels.count + 1);
    c.is_hit = gml_scratch_array(scratch, bool, c.labels.count + 1);
    if (picked == NULL || c.scores == NULL || c.is_hit == NULL)
        return gml_host_no_memory(call);
    const gml_tensor *z = NULL; /* (rows, scores) */
    if (call->n_outputs > 1)
        GML_TRY(
            gml_host_alloc(call, 1, GML_F32, 2, (const int64_t[]){c.f.rows, c.n_scores}, &z));
    for (int64_t row = 0; row < c.f.rows; row++) {
        GML_TRY(score_row(call, &c, row));
        picked[row] = gml_best(c.scores, c.n_scores);
        for (int64_t t = 0; z != NULL && t < c.n_scores; t++)
            gml_host_put(z, row * c.n_scores + t, c.scores[t]);
        /* With one label a row has it, or none. */
        if (c.labels.count == 1 && c.is_binary)
            picked[row] -= 1;
    }
    return gml_host_set_labels(call, &c.labels, picked, c.f.rows, scratch);
}

gml_status gml_host_treeensembleclassifier(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
