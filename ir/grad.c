/* ir/grad.c - what gradients of operators share. */
#include "ir/grad.h"

#include "ir/ops/build_util.h"

bool gml_op_has_grad(const gml_op_info *op)
{
    return op->grad || op->scalar;
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

gml_value *gml_grad_zeros_like(gml_build *b, const gml_value *like)
{
    gml_value *zero = gml_build_scalar(b, like->type.dtype, 0);
    return like->type.rank == 0 ? zero : gml_grad_expand_like(b, zero, like);
}
