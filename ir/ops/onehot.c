/* ir/ops/onehot.c - OneHot: values[1] where the position along a new axis is the index, else
 * values[0]. Negative indices count from the end; an index outside has no position. */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = -1},
    {NULL},
};

static gml_status infer_depth(gml_infer *cx, gml_dim *out_depth)
{
    size_t count;
    *out_depth = 0;
    if (gml_dtype_is_float(gml_operand_type(cx->node, 1)->dtype)) {
        const double *depth;
        GML_TRY(gml_infer_floats(cx, 1, &depth, &count));
        if (count == 1 && depth[0] >= 0 && depth[0] < INT32_MAX)
            *out_depth = (gml_dim)depth[0];
        else
            count = 0;
    } else {
        const gml_dim *depth;
        GML_TRY(gml_infer_elements(cx, 1, &depth, &count));
        if (count == 1)
            *out_depth = depth[0];
    }
    if (count != 1)
        return gml_infer_fail(cx, GML_E_INVALID, "the depth is no scalar size");
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *indices;
    const gml_type *values;
    gml_dim depth;
    int axis;
    for (unsigned k = 0; k < 2; k++)
        GML_TRY(gml_infer_require(cx, k, GML_IS_NUMBER));
    GML_TRY(gml_infer_tensor(cx, 0, &indices));
    GML_TRY(gml_infer_tensor(cx, 2, &values));
    GML_TRY(infer_depth(cx, &depth));
    if (values->rank != 1 || gml_infer_differ(cx, values->dims[0], 2))
        return gml_infer_fail(cx, GML_E_SHAPE, "the values are not a vector of two");
    int rank = indices->rank + 1;
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", -1), rank, &axis));
    if (rank > GML_MAX_RANK)
        return gml_infer_fail(cx, GML_E_UNSUPPORTED, "rank %d is above %d", rank, GML_MAX_RANK);
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis ? depth : indices->dims[i - (i > axis)];
    return gml_infer_set(cx, 0, values->dtype, rank, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_type *type = &node->results[result].type;
    int64_t axis = gml_node_int(node, "axis", -1);
    if (axis < 0)
        axis += type->rank;
    const gml_expr *from[GML_MAX_RANK];
    for (int i = 0; i + 1 < type->rank; i++)
        from[i] = index[i + (i >= axis)];
    const gml_expr *hot = gml_cast_flags(x, gml_at(x, 0, from), GML_I64, GML_CAST_CLAMP);
    const gml_expr *negative = gml_lt(x, hot, gml_i64(x, 0));
    const gml_expr *from_end = gml_add(x, hot, gml_size(x, type->dims[axis]));
    hot = gml_select(x, negative, from_end, hot);
    const gml_expr *off = gml_i64(x, 0);
    const gml_expr *on = gml_i64(x, 1);
    return gml_select(x, gml_eq(x, hot, index[axis]), gml_at(x, 2, &on), gml_at(x, 2, &off));
}

/* Each of the two values gets the gradients of where it stands. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *const *in = g->node->operands;
    gml_value *dy = g->results[0];
    const int64_t standing[2] = {0, 1};
    gml_value *sums[2];
    gml_value *flags = gml_build_cast(b, gml_build_ints(b, standing, 2), dy->type.dtype);
    gml_value *operands[3] = {in[0], in[1], flags};
    gml_attr axis = gml_attr_int("axis", gml_node_int(g->node, "axis", -1));
    gml_value *on = gml_build_op(b, &gml_op_onehot, operands, 3, &axis, 1);
    for (int k = 0; k < 2; k++) {
        gml_value *there = k == 1 ? on : gml_build_sub_from(b, 1, on);
        gml_value *part = gml_build_mul(b, dy, there);
        gml_value *sum = gml_build_reduce(b, &gml_op_reducesum, part, NULL, 0, false);
        sums[k] = gml_build_reshape(b, sum, (const gml_dim[]){1}, 1);
    }
    if (g->wanted[2])
        g->operands[2] = gml_build_concat(b, sums, 2, 0);
    return b->status;
}

const gml_op_info gml_op_onehot = {
    .name = "OneHot",
    .doc = "A new axis that is one value at the index and another elsewhere.",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .value_operands = 1u << 1,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
