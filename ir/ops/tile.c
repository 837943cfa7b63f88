/* ir/ops/tile.c - Tile. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
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

/* The sum over all copies. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    const gml_type *x = &g->node->operands[0]->type;
    gml_value *dx = g->results[0];
    for (int axis = 0; axis < x->rank; axis++) {
        gml_dim_pool *pool = &g->node->graph->module->dims;
        gml_dim repeats = gml_dim_div(pool, dx->type.dims[axis], x->dims[axis]);
        if (dx->type.dims[axis] == x->dims[axis])
            continue;
        if (x->rank == GML_MAX_RANK || x->dims[axis] == 0)
            return gml_fail(b->diags, GML_E_UNSUPPORTED, g->node->loc,
                            "no gradient at rank %d or of an empty axis", x->rank);
        gml_dim split[GML_MAX_RANK];
        int64_t copies = axis;
        for (int d = 0, k = 0; d < x->rank; d++) {
            if (d == axis)
                split[k++] = repeats;
            split[k++] = d == axis ? x->dims[d] : dx->type.dims[d];
        }
        dx = gml_build_reshape(b, dx, split, (size_t)x->rank + 1);
        dx = gml_build_reduce(b, &gml_op_reducesum, dx, &copies, 1, false);
    }
    g->operands[0] = dx;
    return b->status;
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
    .grad = grad,
};
