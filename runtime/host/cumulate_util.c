#include "runtime/host/cumulate_util.h"

typedef struct lane {
    const gml_tensor *x, *y;
    int64_t first, step, count; /* positions of its elements, in the order of summing */
    bool is_exclusive;
    gml_combine combine;
} lane;

static void cumulate(const lane *l)
{
    double neutral = l->combine == GML_COMBINE_MUL ? 1 : 0;
    for (int64_t i = 0; i < l->count; i++) {
        int64_t at = l->first + i * l->step;
        if (i == 0 && l->is_exclusive) {
            gml_host_put(l->y, at, neutral);
        } else if (i == 0) {
            gml_host_copy(l->y, at, l->x, at, 1);
        } else {
            gml_host_copy(l->y, at, l->y, at - l->step, 1);
            gml_combine_element(l->combine, l->y, at, l->x,
                                l->is_exclusive ? at - l->step : at);
        }
    }
}

gml_status gml_host_cumulate(gml_host_call *call, gml_combine combine)
{
    const gml_tensor *x = NULL;
    int64_t axis_value = 0;
    int axis = 0;
    GML_TRY(gml_host_require(call, 0, &x));
    GML_TRY(gml_host_scalar_int(call, 1, 0, &axis_value));
    GML_TRY(gml_host_axis(call, axis_value, x->rank, &axis));
    lane l = {.x = x,
              .combine = combine,
              .count = x->dims[axis],
              .is_exclusive = gml_host_int(call, "exclusive", 0) != 0};
    GML_TRY(gml_host_alloc(call, 0, x->dtype, x->rank, x->dims, &l.y));
    if (gml_tensor_numel(x) == 0)
        return GML_OK;
    bool is_reverse = gml_host_int(call, "reverse", 0) != 0;
    int64_t inner = gml_dims_product(x, axis + 1, x->rank);
    int64_t n_lanes = gml_tensor_numel(x) / l.count;
    for (int64_t i = 0; i < n_lanes; i++) {
        int64_t base = i / inner * l.count * inner + i % inner;
        l.first = is_reverse ? base + (l.count - 1) * inner : base;
        l.step = is_reverse ? -inner : inner;
        cumulate(&l);
    }
    return GML_OK;
}
