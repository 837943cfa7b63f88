/* ir/ops/centercroppad.c - CenterCropPad: one Pad whose counts are negative where it crops. */
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"axes", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

static int changed_axis(const gml_node *node, size_t i, int rank)
{
    size_t count;
    const int64_t *axes = gml_node_ints(node, "axes", &count);
    int64_t axis = axes ? axes[i] : (int64_t)i;
    return (int)(axis < 0 ? axis + rank : axis);
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const gml_dim *shape;
    size_t count;
    size_t n_axes;
    unsigned set;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_elements(cx, 1, &shape, &count));
    const int64_t *axes = gml_node_ints(cx->node, "axes", &n_axes);
    if (axes)
        GML_TRY(gml_infer_axes(cx, axes, n_axes, data->rank, &set));
    else
        n_axes = (size_t)data->rank;
    if (count != n_axes)
        return gml_infer_fail(cx, GML_E_SHAPE, "%zu sizes for %zu axes", count, n_axes);
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i < data->rank; i++)
        dims[i] = data->dims[i];
    for (size_t i = 0; i < count; i++)
        dims[changed_axis(cx->node, i, data->rank)] = shape[i];
    return gml_infer_set(cx, 0, data->dtype, data->rank, dims);
}

/* Half of what is missing goes before, half of what is too much is cut there, both rounded
 * down. */
static gml_status expand(gml_expand *cx)
{
    const gml_value *data = cx->node->operands[0];
    const gml_type *type = &cx->node->results[0].type;
    gml_dim_pool *pool = cx->dims;
    gml_dim pads[2 * GML_MAX_RANK];
    for (int i = 0; i < type->rank; i++) {
        gml_dim more = gml_dim_sub(pool, type->dims[i], data->type.dims[i]);
        gml_dim less = gml_dim_sub(pool, data->type.dims[i], type->dims[i]);
        gml_dim added = gml_dim_div(pool, gml_dim_max(pool, more, 0), 2);
        gml_dim cut = gml_dim_div(pool, gml_dim_max(pool, less, 0), 2);
        pads[i] = gml_dim_sub(pool, added, cut);
        pads[type->rank + i] = gml_dim_sub(pool, more, pads[i]);
    }
    gml_build b = gml_build_expand(cx);
    gml_value *operands[] = {cx->node->operands[0],
                             gml_build_dims(&b, pads, 2 * (size_t)type->rank)};
    cx->results[0] = gml_build_op(&b, &gml_op_pad, operands, 2, NULL, 0);
    return b.status;
}

const gml_op_info gml_op_centercroppad = {
    .name = "CenterCropPad",
    .doc = "A tensor cut or padded with zeros to given sizes, about its middle.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .value_operands = 1u << 1,
    .attrs = attrs,
    .infer = infer,
    .expand = expand,
};
