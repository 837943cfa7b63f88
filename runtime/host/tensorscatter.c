/* runtime/host/tensorscatter.c - writes new rows into a cache along one axis, each batch entry
 * at a position of its own; `circular` wraps around the end. */
#include "runtime/host/host_util.h"

#include <inttypes.h>

typedef struct cache {
    const gml_tensor *past, *update, *starts;
    int64_t outer, size, n_new, inner; /* past: (outer, size, inner) */
    bool is_circular;
} cache;

static gml_status check_shapes(gml_host_call *call, const cache *c, int axis)
{
    bool fits = c->update->rank == c->past->rank && c->update->dtype == c->past->dtype;
    for (int i = 0; fits && i < c->past->rank; i++)
        fits = i == axis ? c->update->dims[i] <= c->past->dims[i]
                         : c->update->dims[i] == c->past->dims[i];
    if (!fits)
        return gml_host_fail(call, GML_E_SHAPE, "the update does not fit into the cache");
    if (c->starts != NULL && gml_tensor_numel(c->starts) != c->past->dims[0])
        return gml_host_fail(call, GML_E_SHAPE, "there is not one write index per batch entry");
    return GML_OK;
}

static gml_status write_rows(gml_host_call *call, const cache *c, const gml_tensor *y)
{
    int64_t per_batch = c->outer / c->past->dims[0];
    for (int64_t o = 0; o < c->outer; o++) {
        int64_t start = c->starts == NULL ? 0 : gml_host_get_int(c->starts, o / per_batch);
        if (c->is_circular)
            start = (start % c->size + c->size) % c->size;
        if (start < 0 || (!c->is_circular && start > c->size - c->n_new))
            return gml_host_fail(call, GML_E_RANGE,
                                 "writing %" PRId64 " entries at %" PRId64
                                 " leaves a cache of %" PRId64,
                                 c->n_new, start, c->size);
        for (int64_t i = 0; i < c->n_new; i++)
            gml_host_copy(y, (o * c->size + (start + i) % c->size) * c->inner, c->update,
                          (o * c->n_new + i) * c->inner, c->inner);
    }
    return GML_OK;
}

gml_status gml_host_tensorscatter(gml_host_call *call)
{
    cache c = {.starts = gml_host_tensor(call, 2),
               .is_circular = gml_host_string_is(call, "mode", "circular")};
    GML_TRY(gml_host_require(call, 0, &c.past));
    GML_TRY(gml_host_require(call, 1, &c.update));
    int axis = 0;
    GML_TRY(gml_host_axis(call, gml_host_int(call, "axis", -2), c.past->rank, &axis));
    if (axis == 0)
        return gml_host_fail(call, GML_E_RANGE, "axis 0 is the batch");
    GML_TRY(check_shapes(call, &c, axis));
    const gml_tensor *y = NULL;
    GML_TRY(gml_host_alloc(call, 0, c.past->dtype, c.past->rank, c.past->dims, &y));
    gml_host_copy(y, 0, c.past, 0, gml_tensor_numel(c.past));
    if (gml_tensor_numel(c.update) > 0) {
        c.outer = gml_dims_product(c.past, 0, axis);
        c.size = c.past->dims[axis];
        c.n_new = c.update->dims[axis];
        c.inner = gml_dims_product(c.past, axis + 1, c.past->rank);
        GML_TRY(write_rows(call, &c, y));
    }
    return gml_host_own_strings(call, &call->outputs[0]);
}
