/* ir/grad.c - what gradients of operators share. */
#include "ir/grad.h"

#include "ir/ops/build_util.h"

bool gml_op_has_grad(const gml_op_info *op)
{
    return op->grad || op->scalar;
}

gml_status gml_grad_same(gml_grad *g)
{
    g->operands[0] = g->results[0];
    return g->b.status;
}

gml_status gml_grad_view(gml_grad *g)
{
    g->operands[0] = gml_grad_reshape_like(&g->b, g->results[0], g->node->operands[0]);
    return g->b.status;
}

gml_status gml_grad_none(gml_grad *g)
{
    return g->b.status;
}

gml_value *gml_grad_sum_to(gml_build *b, gml_value *gradient, const gml_type *type)
{
    const gml_type *from = &gradient->type;
    int64_t axes[GML_MAX_RANK];
    size_t n_axes = 0;
    int more = from->rank - type->rank;
    for (int d = 0; d < from->rank; d++)
        if (d < more || (type->dims[d - more] == 1 && from->dims[d] != 1))
            axes[n_axes++] = d;
    if (n_axes == 0)
        return gradient;
    gml_value *sum = gml_build_reduce(b, &gml_op_reducesum, gradient, axes, n_axes, true);
    return more > 0 ? gml_build_reshape(b, sum, type->dims, (size_t)type->rank) : sum;
}

gml_value *gml_grad_swap_last(gml_build *b, gml_value *x)
{
    int64_t perm[GML_MAX_RANK];
    int rank = x->type.rank;
    for (int d = 0; d < rank; d++)
        perm[d] = d;
    perm[rank - 2] = rank - 1;
    perm[rank - 1] = rank - 2;
    return gml_build_transpose(b, x, perm, (size_t)rank);
}

/* The shape of `like`: as numbers where they are known, else read from the tensor itself, whose
 * sizes may be known inside one region only. */
static gml_value *shape_of(gml_build *b, const gml_value *like)
{
    if (gml_type_is_static(&like->type))
        return gml_build_dims(b, like->type.dims, (size_t)like->type.rank);
    return gml_build_unary(b, &gml_op_shape, (gml_value *)(uintptr_t)like);
}

gml_value *gml_grad_reshape_like(gml_build *b, gml_value *x, const gml_value *like)
{
    gml_attr allow_zero = gml_attr_int("allowzero", 1);
    gml_value *operands[2] = {x, shape_of(b, like)};
    return gml_build_op(b, &gml_op_reshape, operands, 2, &allow_zero, 1);
}

gml_value *gml_grad_expand_like(gml_build *b, gml_value *x, const gml_value *like)
{
    return gml_build_binary(b, &gml_op_expand, x, shape_of(b, like));
}

/* ---- sequences ----------------------------------------------------------------------------
 */

bool gml_grad_is_possible(const gml_type *type)
{
    while (type->kind == GML_TYPE_SEQUENCE || type->kind == GML_TYPE_OPTIONAL)
        type = type->element;
    return type->kind == GML_TYPE_TENSOR && gml_dtype_get_class(type->dtype) == GML_CLASS_FLOAT;
}

gml_value *gml_grad_over_sequences(gml_build *b, gml_value *const *sequences, uint32_t n,
                                   gml_grad_map map)
{
    gml_value *items[4] = {NULL};
    if (b->status != GML_OK)
        return sequences[0];
    gml_node *node =
        gml_node_create(b->graph, b->before, &gml_op_sequencemap, sequences, n, 1, b->loc);
    gml_graph *body = gml_graph_create(b->graph->module, "body", node);
    gml_build inner = {body, NULL, b->loc, b->diags, GML_OK};
    for (uint32_t k = 0; k < n && k < 4; k++) {
        const gml_type *type = &sequences[k]->type;
        bool is_sequence = type->kind == GML_TYPE_SEQUENCE;
        items[k] = gml_graph_add_param(body, NULL, is_sequence ? *type->element : *type);
        if (items[k]->type.rank < 0)
            inner.status = gml_fail(b->diags, GML_E_UNSUPPORTED, b->loc,
                                    "the gradient needs the rank of a sequence's items");
    }
    if (inner.status == GML_OK)
        gml_graph_add_result(body, map(&inner, items), NULL);
    gml_node_set_region(node, "body", body);
    b->status = inner.status == GML_OK ? gml_node_infer(node, b->diags) : inner.status;
    return &node->results[0];
}

static gml_value *zeros_of_item(gml_build *b, gml_value *const *items)
{
    return gml_grad_zeros_like(b, items[0]);
}

static gml_value *sum_of_items(gml_build *b, gml_value *const *items)
{
    return gml_build_add(b, items[0], items[1]);
}

gml_value *gml_grad_add(gml_build *b, gml_value *x, gml_value *y)
{
    gml_value *both[2] = {x, y};
    if (x->type.kind == GML_TYPE_TENSOR)
        return gml_build_add(b, x, y);
    return gml_grad_over_sequences(b, both, 2, sum_of_items);
}

gml_value *gml_grad_zeros_like(gml_build *b, const gml_value *like)
{
    gml_value *value = (gml_value *)(uintptr_t)like;
    if (like->type.kind == GML_TYPE_SEQUENCE)
        return gml_grad_over_sequences(b, &value, 1, zeros_of_item);
    if (like->type.kind != GML_TYPE_TENSOR) {
        b->status = b->status != GML_OK
                        ? b->status
                        : gml_fail(b->diags, GML_E_UNSUPPORTED, b->loc,
                                   "the gradient of an optional that a region hands on");
        return value;
    }
    gml_value *zero = gml_build_scalar(b, like->type.dtype, 0);
    return like->type.rank == 0 ? zero : gml_grad_expand_like(b, zero, like);
}
