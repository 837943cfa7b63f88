/* ir/ops/tile.c - Tile. */
#include "ir/view.h"

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const gml_dim *repeats;
    size_t count;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_elements(cx, 1, &repeats, &count));
    if (count != (size_t)data->rank)
        return gml_infer_fail(cx, GML_E_SHAPE, "%zu repeats for rank %d", count, data->rank);
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i < data->rank; i++)
        dims[i] = gml_dim_mul(cx->dims, data->dims[i], repeats[i]);
    return gml_infer_set(cx, 0, data->dtype, data->rank, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_dim *dims = node->results[result].type.dims;
    const gml_expr *from[GML_MAX_RANK];
    for (int i = 0; i < gml_operand_rank(x, 0); i++) {
        gml_dim size = gml_operand_dim(x, 0, i);
        from[i] = size == dims[i] ? index[i] : gml_floormod(x, index[i], gml_size(x, size));
    }
    return gml_at(x, 0, from);
}

const gml_op_info gml_op_tile = {
    .name = "Tile",
    .doc = "A tensor repeated a number of times along each axis.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .value_operands = 1u << 1,
    .infer = infer,
    .lower = lower,
};
