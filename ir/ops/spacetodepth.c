/* ir/ops/spacetodepth.c - SpaceToDepth: blocks of pixels become channels.
 *
 * Channel (b i + j) C + c at row y and column x is channel c at row b y + i and column b x + j.
 */
#include "ir/grad.h"
#include "ir/op.h"

static const gml_attr_spec attrs[] = {
    {"blocksize", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    int64_t block = gml_node_int(cx->node, "blocksize", 0);
    if (data->rank != 4)
        return gml_infer_fail(cx, GML_E_SHAPE, "operand 0 has rank %d, not 4", data->rank);
    if (block < 1 || block > INT32_MAX)
        return gml_infer_fail(cx, GML_E_INVALID, "blocksize is %lld", (long long)block);
    for (int i = 2; i < 4; i++)
        if (gml_infer_leaves_rest(cx, data->dims[i], block))
            return gml_infer_fail(cx, GML_E_SHAPE,
                                  "size %lld of axis %d is no multiple of %lld",
                                  (long long)data->dims[i], i, (long long)block);
    gml_dim dims[4] = {data->dims[0], gml_dim_mul(cx->dims, data->dims[1], block * block),
                       gml_dim_div(cx->dims, data->dims[2], block),
                       gml_dim_div(cx->dims, data->dims[3], block)};
    return gml_infer_set(cx, 0, data->dtype, 4, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    const gml_expr *block = gml_i64(x, gml_node_int(node, "blocksize", 1));
    const gml_expr *channels = gml_size(x, gml_operand_dim(x, 0, 1));
    const gml_expr *within = gml_floordiv(x, index[1], channels);
    const gml_expr *row = gml_mul(x, index[2], block);
    const gml_expr *column = gml_mul(x, index[3], block);
    const gml_expr *from[4] = {index[0], gml_floormod(x, index[1], channels),
                               gml_add(x, row, gml_floordiv(x, within, block)),
                               gml_add(x, column, gml_floormod(x, within, block))};
    return gml_at(x, 0, from);
}

static gml_status grad(gml_grad *g)
{
    gml_attr attr = gml_attr_int("blocksize", gml_node_int(g->node, "blocksize", 1));
    g->operands[0] = gml_build_op(&g->b, &gml_op_depthtospace, &g->results[0], 1, &attr, 1);
    return g->b.status;
}

const gml_op_info gml_op_spacetodepth = {
    .name = "SpaceToDepth",
    .doc = "Moves elements from blocks of rows and columns to channels.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
