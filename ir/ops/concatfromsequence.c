#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {"new_axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *item = NULL;
    GML_TRY(gml_infer_item(cx, 0, &item));
    if (item->kind != GML_TYPE_TENSOR)
        return gml_infer_fail(cx, GML_E_TYPE, "the items are no tensors");
    if (item->rank == GML_RANK_UNKNOWN)
        return gml_infer_unranked(cx, 0, item->dtype);
    bool stacks = gml_node_int(cx->node, "new_axis", 0) != 0;
    int rank = item->rank + (stacks ? 1 : 0);
    int axis = 0;
    gml_dim dims[GML_MAX_RANK + 1];
    gml_type fresh = gml_type_freshen(cx, item);
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 0), rank, &axis));
    for (int d = 0, from = 0; d < rank; d++) {
        if (d != axis)
            dims[d] = fresh.dims[from++];
        else
            dims[d] = gml_dim_fresh(cx->dims, "joined");
        if (d == axis && !stacks)
            from++;
    }
    return gml_infer_set(cx, 0, item->dtype, rank, dims);
}

/* The size of an item, as a vector; the axis is the last operand. */
static gml_value *size_of_item(gml_build *b, gml_value *const *items)
{
    gml_value *operands[2] = {gml_build_unary(b, &gml_op_shape, items[0]), items[1]};
    return gml_build_op(b, &gml_op_gather, operands, 2, NULL, 0);
}

/* Split again, into parts of the sizes that the items had. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *sequence = g->node->operands[0];
    int64_t axis = gml_node_int(g->node, "axis", 0);
    gml_attr given[2] = {gml_attr_int("axis", axis), gml_attr_int("keepdims", 0)};
    if (gml_node_int(g->node, "new_axis", 0)) {
        g->operands[0] = gml_build_op(b, &gml_op_splittosequence, &g->results[0], 1, given, 2);
        return b->status;
    }
    gml_attr first = gml_attr_int("axis", 0);
    gml_value *parts[2] = {sequence, gml_build_ints(b, &axis, 1)};
    gml_value *sizes = gml_grad_over_sequences(b, parts, 2, size_of_item);
    gml_value *operands[2] = {
        g->results[0], gml_build_op(b, &gml_op_concatfromsequence, &sizes, 1, &first, 1)};
    g->operands[0] = gml_build_op(b, &gml_op_splittosequence, operands, 2, given, 1);
    return b->status;
}

const gml_op_info gml_op_concatfromsequence = {
    .name = "ConcatFromSequence",
    .doc = "The items of a sequence, concatenated or stacked.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "concatfromsequence",
};
