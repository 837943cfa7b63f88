#include "runtime/host/ml_util.h"

#include <inttypes.h>

static gml_status set_map(gml_host_call *call, const gml_labels *labels, const gml_rvalue *keys,
                          const gml_features *f, int64_t row, gml_rvalue *out_map)
{
    if (gml_rvalue_sequence(out_map, 2) != GML_OK)
        return gml_host_no_memory(call);
    out_map->kind = GML_RVALUE_MAP;
    gml_rvalue *values = &out_map->items[1];
    if (gml_rvalue_copy(&out_map->items[0], keys) != GML_OK ||
        gml_rvalue_alloc(values, GML_F32, 1, &labels->count) != GML_OK)
        return gml_host_no_memory(call);
    for (int64_t i = 0; i < labels->count; i++)
        gml_host_put(&values->tensor, i, gml_host_get_float(f->x, row * f->width + i));
    return GML_OK;
}

/* Each row becomes a map from the labels, which all maps share, to its numbers. */
static gml_status set_maps(gml_host_call *call, const gml_labels *labels,
                           const gml_rvalue *keys)
{
    gml_features f = {0};
    GML_TRY(gml_host_features(call, &f));
    if (f.width != labels->count)
        return gml_host_fail(call, GML_E_SHAPE, "%" PRId64 " labels for %" PRId64 " columns",
                             labels->count, f.width);
    if (gml_rvalue_sequence(&call->outputs[0], (size_t)f.rows) != GML_OK)
        return gml_host_no_memory(call);
    for (int64_t row = 0; row < f.rows; row++)
        GML_TRY(set_map(call, labels, keys, &f, row, &call->outputs[0].items[row]));
    return GML_OK;
}

gml_status gml_host_zipmap(gml_host_call *call)
{
    gml_labels labels = gml_host_labels(call, "classlabels_int64s", "classlabels_strings");
    gml_rvalue keys = {0};
    if (labels.count == 0)
        return gml_host_fail(call, GML_E_INVALID, "there are no class labels");
    if (gml_rvalue_alloc(&keys, labels.names.dtype, 1, &labels.count) != GML_OK)
        return gml_host_no_memory(call);
    gml_host_copy(&keys.tensor, 0, &labels.names, 0, labels.count);
    gml_status status = gml_host_own_strings(call, &keys);
    if (status == GML_OK)
        status = set_maps(call, &labels, &keys);
    gml_rvalue_reset(&keys);
    return status;
}
