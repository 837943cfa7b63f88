#include "runtime/host/sequence_util.h"

#include <inttypes.h>

/* Fills `sizes` (one per part) when it is not NULL. Returns the number of parts. */
static gml_status split_sizes(gml_host_call *call, const gml_tensor *split, int64_t size,
                              int64_t *sizes, int64_t *out_count)
{
    if (split != NULL && split->rank > 0) {
        int64_t left = size;
        *out_count = gml_tensor_numel(split);
        for (int64_t i = 0; i < *out_count; i++) {
            int64_t part = gml_host_get_int(split, i);
            if (part < 0 || part > left)
                return gml_host_fail(call, GML_E_RANGE,
                                     "part %" PRId64 " has %" PRId64 " of %" PRId64
                                     " elements left",
                                     i, part, left);
            left -= part;
            if (sizes != NULL)
                sizes[i] = part;
        }
        if (left != 0)
            return gml_host_fail(call, GML_E_RANGE,
                                 "the parts leave %" PRId64 " of %" PRId64 " elements", left,
                                 size);
        return GML_OK;
    }
    int64_t part = split == NULL ? 1 : gml_host_get_int(split, 0);
    if (part < 1)
        return gml_host_fail(call, GML_E_RANGE, "parts of %" PRId64 " elements", part);
    *out_count = size / part + (size % part != 0);
    for (int64_t i = 0; sizes != NULL && i < *out_count; i++)
        sizes[i] = size - i * part < part ? size - i * part : part;
    return GML_OK;
}

static gml_status run(gml_host_call *call, gml_scratch *scratch)
{
    const gml_tensor *x = NULL;
    const gml_tensor *split = gml_host_tensor(call, 1);
    int axis = 0;
    int64_t count = 0;
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(gml_host_axis(call, gml_host_int(call, "axis", 0), x->rank, &axis));
    GML_TRY(split_sizes(call, split, x->dims[axis], NULL, &count));
    int64_t *sizes = gml_scratch_array(scratch, int64_t, count);
    if (sizes == NULL || gml_rvalue_sequence(&call->outputs[0], (size_t)count) != GML_OK)
        return gml_host_no_memory(call);
    GML_TRY(split_sizes(call, split, x->dims[axis], sizes, &count));
    bool squeeze = split == NULL && gml_host_int(call, "keepdims", 1) == 0;
    int64_t start = 0;
    for (int64_t i = 0; i < count; i++) {
        gml_part part = {.axis = axis, .squeeze = squeeze, .start = start, .length = sizes[i]};
        GML_TRY(gml_host_slice(call, x, &part, &call->outputs[0].items[i]));
        start += sizes[i];
    }
    return GML_OK;
}

gml_status gml_host_splittosequence(gml_host_call *call)
{
    return gml_host_with_scratch(call, run);
}
