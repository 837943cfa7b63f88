#include "ir/grad.h"
#include "ir/infer_host.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"keepdims", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

/* The common size of the parts along the axis, or a fresh one. */
static gml_dim part_size(gml_infer *cx, gml_dim size)
{
    const gml_type *split = gml_operand_type(cx->node, 1);
    if (split == NULL)
        return 1;
    gml_dim part = gml_infer_size(cx, 1, 0, "part");
    bool is_even = split->rank == 0 && gml_dim_is_const(part) && gml_dim_is_const(size) &&
                   part > 0 && size % part == 0;
    return is_even ? part : gml_dim_fresh(cx->dims, "part");
}

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_ANY));
    GML_TRY(gml_infer_expect(cx, 1, GML_SET_INDEX));
    const gml_type *x = gml_operand_type(cx->node, 0);
    gml_type item = gml_type_unranked(x->dtype);
    if (x->rank != GML_RANK_UNKNOWN) {
        bool keeps = gml_has_operand(cx->node, 1) || gml_node_int(cx->node, "keepdims", 1) != 0;
        int axis = 0;
        int rank = 0;
        gml_dim dims[GML_MAX_RANK];
        GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 0), x->rank, &axis));
        for (int d = 0; d < x->rank; d++) {
            if (d != axis)
                dims[rank++] = x->dims[d];
            else if (keeps)
                dims[rank++] = part_size(cx, x->dims[d]);
        }
        item = gml_type_tensor(cx->arena, x->dtype, rank, dims);
    }
    return gml_infer_set_type(cx, 0, gml_type_sequence(cx->arena, item));
}

static gml_status grad(gml_grad *g)
{
    bool keeps = gml_has_operand(g->node, 1) || gml_node_int(g->node, "keepdims", 1) != 0;
    gml_attr given[2] = {gml_attr_int("axis", gml_node_int(g->node, "axis", 0)),
                         gml_attr_int("new_axis", !keeps)};
    gml_value *whole =
        gml_build_op(&g->b, &gml_op_concatfromsequence, &g->results[0], 1, given, 2);
    g->operands[0] = gml_grad_reshape_like(&g->b, whole, g->node->operands[0]);
    return g->b.status;
}

const gml_op_info gml_op_splittosequence = {
    .name = "SplitToSequence",
    .doc = "The parts of a tensor along an axis, as a sequence.",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "splittosequence",
};
