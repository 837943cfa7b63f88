/* ir/ops/depthtospace.c - DepthToSpace: channels become blocks of pixels.
 *
 * Row b y + i and column b x + j of channel c are row y and column x of channel
 *   DCR  (b i + j) C + c     CRD  c b b + b i + j
 * where C is the number of channels of the result. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"blocksize", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "DCR"},
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
    if (!gml_node_string_is(cx->node, "mode", "DCR") &&
        !gml_node_string_is(cx->node, "mode", "CRD"))
        return gml_infer_fail(cx, GML_E_INVALID, "mode is neither DCR nor CRD");
    gml_dim channels = data->dims[1];
    if (gml_infer_leaves_rest(cx, channels, block * block))
        return gml_infer_fail(cx, GML_E_SHAPE, "%lld channels do not fill blocks of %lld",
                              (long long)channels, (long long)(block * block));
    gml_dim dims[4] = {data->dims[0], gml_dim_div(cx->dims, channels, block * block),
                       gml_dim_mul(cx->dims, data->dims[2], block),
                       gml_dim_mul(cx->dims, data->dims[3], block)};
    return gml_infer_set(cx, 0, data->dtype, 4, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    int64_t size = gml_node_int(node, "blocksize", 1);
    const gml_expr *block = gml_i64(x, size);
    const gml_expr *row = gml_floormod(x, index[2], block);
    const gml_expr *column = gml_floormod(x, index[3], block);
    const gml_expr *within = gml_add(x, gml_mul(x, row, block), column);
    const gml_expr *channel;
    if (gml_node_string_is(node, "mode", "DCR")) {
        const gml_expr *channels = gml_size(x, node->results[result].type.dims[1]);
        channel = gml_add(x, gml_mul(x, within, channels), index[1]);
    } else {
        channel = gml_add(x, gml_mul(x, index[1], gml_i64(x, size * size)), within);
    }
    const gml_expr *from[4] = {index[0], channel, gml_floordiv(x, index[2], block),
                               gml_floordiv(x, index[3], block)};
    return gml_at(x, 0, from);
}

/* (N, C, H b, W b) back to (N, C b b, H, W), rows and columns of a block innermost. */
static gml_status grad_of_columns_first(gml_grad *g)
{
    static const int64_t perm[6] = {0, 1, 3, 5, 2, 4};
    gml_build *b = &g->b;
    gml_value *dy = g->results[0];
    const gml_dim *from = g->node->operands[0]->type.dims;
    int64_t block = gml_node_int(g->node, "blocksize", 1);
    gml_dim split[6] = {from[0], dy->type.dims[1], from[2], block, from[3], block};
    gml_value *parts = gml_build_reshape(b, dy, split, 6);
    parts = gml_build_transpose(b, parts, perm, 6);
    g->operands[0] = gml_grad_reshape_like(b, parts, g->node->operands[0]);
    return b->status;
}

static gml_status grad(gml_grad *g)
{
    gml_attr attr = gml_attr_int("blocksize", gml_node_int(g->node, "blocksize", 1));
    if (!gml_node_string_is(g->node, "mode", "DCR"))
        return grad_of_columns_first(g);
    g->operands[0] = gml_build_op(&g->b, &gml_op_spacetodepth, &g->results[0], 1, &attr, 1);
    return g->b.status;
}

const gml_op_info gml_op_depthtospace = {
    .name = "DepthToSpace",
    .doc = "Moves elements from channels to blocks of rows and columns.",
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
