/* ir/ops/affinegrid.c - AffineGrid: sampling positions, theta times the normalised coordinates.
 *
 * The coordinates of position i of d lie in -1 to 1: at the centres of d equal parts, or with
 * align_corners from end to end. A position is (x, y, 1), or (x, y, z, 1); x is the last axis.
 */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"align_corners", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *theta;
    const gml_dim *size;
    size_t count;
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    GML_TRY(gml_infer_tensor(cx, 0, &theta));
    GML_TRY(gml_infer_elements(cx, 1, &size, &count));
    if (count != 4 && count != 5)
        return gml_infer_fail(cx, GML_E_SHAPE, "the size has %zu elements, not 4 or 5", count);
    gml_dim axes = (gml_dim)count - 2;
    if (theta->rank != 3 || theta->dims[1] != axes || theta->dims[2] != axes + 1)
        return gml_infer_fail(cx, GML_E_SHAPE, "theta is not of shape N, %lld, %lld",
                              (long long)axes, (long long)axes + 1);
    if (gml_infer_differ(cx, theta->dims[0], size[0]))
        return gml_infer_fail(cx, GML_E_SHAPE, "%lld matrices for a batch of %lld",
                              (long long)theta->dims[0], (long long)size[0]);
    gml_dim dims[5] = {theta->dims[0]};
    for (size_t i = 2; i < count; i++)
        dims[i - 1] = size[i];
    dims[count - 1] = axes;
    return gml_infer_set(cx, 0, theta->dtype, (int)count, dims);
}

static const gml_expr *coordinate(gml_lower *x, const gml_expr *index, gml_dim size,
                                  bool corners, gml_dtype dtype)
{
    const gml_expr *i = gml_cast(x, index, dtype);
    const gml_expr *d = gml_cast(x, gml_size(x, size), dtype);
    const gml_expr *one = gml_const(x, dtype, 1.0);
    const gml_expr *two_i = gml_add(x, i, i);
    if (corners)
        d = gml_max(x, gml_sub(x, d, one), one);
    else
        two_i = gml_add(x, two_i, one);
    return gml_sub(x, gml_div(x, two_i, d), one);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_type *type = &node->results[result].type;
    bool corners = gml_node_int(node, "align_corners", 0) != 0;
    int axes = type->rank - 2;
    gml_dtype wide = gml_accumulator(type->dtype);
    const gml_expr *at[3] = {index[0], index[axes + 1], gml_i64(x, axes)};
    const gml_expr *sum = gml_cast(x, gml_at(x, 0, at), wide);
    for (int k = axes - 1; k >= 0; k--) {
        int axis = axes - k; /* of the result; x comes first in theta */
        at[2] = gml_i64(x, k);
        const gml_expr *place = coordinate(x, index[axis], type->dims[axis], corners, wide);
        sum = gml_add(x, sum, gml_mul(x, gml_cast(x, gml_at(x, 0, at), wide), place));
    }
    return gml_cast(x, sum, type->dtype);
}

/* With the coordinates, and 1, of P positions as rows of c (P, axes + 1): dtheta = dy' c. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_dim_pool *pool = &g->node->graph->module->dims;
    gml_value *dy = g->results[0];
    size_t count = 0;
    const gml_dim *size =
        gml_value_elements(g->node->operands[1], &g->node->graph->module->arena, &count);
    gml_dim axes = dy->type.rank - 2;
    gml_dim dims[5] = {1};
    gml_dim places = 1;
    for (size_t i = 1; i < count; i++) {
        dims[i] = size[i];
        places = i > 1 ? gml_dim_mul(pool, places, size[i]) : 1;
    }
    /* the coordinates are what the identity gives */
    gml_value *same = gml_build_zeros(b, dy->type.dtype, (const gml_dim[]){axes, axes + 1}, 2);
    same = gml_build_unary(b, &gml_op_eyelike, same);
    gml_value *operands[2] = {
        gml_build_reshape(b, same, (const gml_dim[]){1, axes, axes + 1}, 3),
        gml_build_dims(b, dims, count)};
    gml_attr corners = gml_attr_int("align_corners", gml_node_int(g->node, "align_corners", 0));
    gml_value *rows[2] = {gml_build_op(b, &gml_op_affinegrid, operands, 2, &corners, 1)};
    rows[0] = gml_build_reshape(b, rows[0], (const gml_dim[]){places, axes}, 2);
    rows[1] = gml_build_sub_from(
        b, 1, gml_build_zeros(b, dy->type.dtype, (const gml_dim[]){places, 1}, 2));
    gml_value *c = gml_build_concat(b, rows, 2, 1);
    gml_value *flat =
        gml_build_reshape(b, dy, (const gml_dim[]){dy->type.dims[0], places, axes}, 3);
    g->operands[0] = gml_build_matmul(b, gml_grad_swap_last(b, flat), c);
    return b->status;
}

const gml_op_info gml_op_affinegrid = {
    .name = "AffineGrid",
    .doc = "Sampling positions for GridSample from affine matrices.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .value_operands = 1u << 1,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
