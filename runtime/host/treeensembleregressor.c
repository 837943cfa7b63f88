#include "runtime/host/tree_util.h"

#include <inttypes.h>

static gml_status read_aggregate(gml_host_call *call, gml_aggregate *out_aggregate)
{
    static const char *const names[] = {"AVERAGE", "SUM", "MIN", "MAX"};
    *out_aggregate = GML_AGGREGATE_SUM;
    if (gml_host_attr(call, "aggregate_function") == NULL)
        return GML_OK;
    for (int i = 0; i < 4; i++) {
        if (gml_host_string_is(call, "aggregate_function", names[i])) {
            *out_aggregate = (gml_aggregate)i;
            return GML_OK;
        }
    }
    return gml_host_fail(call, GML_E_INVALID, "aggregate_function is not known");
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    gml_features f = {0};
    gml_forest forest = {.n_targets = gml_host_int(call, "n_targets", 1)};
    gml_transform transform = GML_TRANSFORM_NONE;
    gml_tensor base = {0};
    GML_TRY(gml_host_features(call, &f));
    GML_TRY(read_aggregate(call, &forest.aggregate));
    GML_TRY(gml_host_transform(call, &transform));
    bool has_base = gml_host_attr_vector(call, "base_values_as_tensor", &base) ||
                    gml_host_attr_vector(call, "base_values", &base);
    if (forest.n_targets < 1 ||
        (has_base && base.dims[0] != 1 && base.dims[0] != forest.n_targets))
        return gml_host_fail(call, GML_E_INVALID, "base_values do not fit %" PRId64 " targets",
                             forest.n_targets);
    GML_TRY(gml_forest_init_pairs(&forest, call, "target", f.width, scratch));
    double *scores = gml_scratch_array(scratch, double, forest.n_targets);
    bool *is_hit = gml_scratch_array(scratch, bool, forest.n_targets);
    if (scores == NULL || is_hit == NULL)
        return gml_host_no_memory(call);
    const gml_tensor *y = NULL; /* (rows, targets) */
    GML_TRY(
        gml_host_alloc(call, 0, GML_F32, 2, (const int64_t[]){f.rows, forest.n_targets}, &y));
    for (int64_t row = 0; row < f.rows; row++) {
        GML_TRY(gml_forest_score(&forest, call, &f, row, scores, is_hit));
        for (int64_t t = 0; has_base && t < forest.n_targets; t++)
            scores[t] += gml_host_get_float(&base, base.dims[0] == 1 ? 0 : t);
        gml_transform_scores(transform, scores, forest.n_targets);
        for (int64_t t = 0; t < forest.n_targets; t++)
            gml_host_put(y, row * forest.n_targets + t, scores[t]);
    }
    return GML_OK;
}

gml_status gml_host_treeensembleregressor(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
