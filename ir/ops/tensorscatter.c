#include "ir/grad.h"
#include "ir/infer_host.h"
#include "ir/ops/build_util.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = -2},
    {"mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "linear"},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_expect(cx, 0, GML_SET_ANY));
    GML_TRY(gml_infer_expect_same(cx, 0, 1));
    GML_TRY(gml_infer_expect(cx, 2, GML_SET(I64)));
    const gml_type *past = gml_operand_type(cx->node, 0);
    int axis = 0;
    if (past->rank != GML_RANK_UNKNOWN)
        GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", -2), past->rank, &axis));
    return gml_infer_same(cx);
}

/* The cache's gradient has zeros where entries were written; theirs is what stands there. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    const gml_node *node = g->node;
    gml_value *dy = g->results[0];
    gml_value *update = node->operands[1];
    gml_value *starts = gml_has_operand(node, 2) ? node->operands[2] : NULL;
    int rank = dy->type.rank;
    int64_t axis = gml_node_int(node, "axis", -2);
    axis += axis < 0 ? rank : 0;
    if (rank < 0 || update->type.rank != rank)
        return gml_fail(b->diags, GML_E_UNSUPPORTED, node->loc,
                        "the gradient needs the rank of the cache");
    gml_value *written[3] = {dy, gml_grad_zeros_like(b, update), starts};
    g->operands[0] = gml_build_op(b, &gml_op_tensorscatter, written, starts ? 3 : 2,
                                  node->attrs, node->n_attrs);
    gml_dim line[GML_MAX_RANK];
    gml_dim batch[GML_MAX_RANK];
    for (int d = 0; d < rank; d++) {
        line[d] = d == axis ? update->type.dims[d] : 1;
        batch[d] = d == 0 ? update->type.dims[0] : 1;
    }
    gml_value *rows = gml_build_range(b, update->type.dims[axis]);
    rows = gml_build_reshape(b, rows, line, (size_t)rank);
    if (starts)
        rows = gml_build_add(b, rows, gml_build_reshape(b, starts, batch, (size_t)rank));
    gml_value *size = gml_build_size(b, GML_I64, dy->type.dims[axis]);
    rows = gml_build_binary(b, &gml_op_mod, rows, size); /* circular */
    gml_value *parts[2] = {dy, gml_grad_expand_like(b, rows, update)};
    gml_attr along = gml_attr_int("axis", axis);
    g->operands[1] = gml_build_op(b, &gml_op_gatherelements, parts, 2, &along, 1);
    return b->status;
}

const gml_op_info gml_op_tensorscatter = {
    .name = "TensorScatter",
    .doc = "A cache with new entries written along its sequence axis.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .grad = grad,
    .host = "tensorscatter",
};
