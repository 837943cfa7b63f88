/* ir/ops/build_util.c - formulas as nodes. */
#include "ir/ops/build_util.h"

gml_value *gml_build_add(gml_build *b, gml_value *x, gml_value *y)
{
    return gml_build_binary(b, &gml_op_add, x, y);
}

gml_value *gml_build_sub(gml_build *b, gml_value *x, gml_value *y)
{
    return gml_build_binary(b, &gml_op_sub, x, y);
}

gml_value *gml_build_mul(gml_build *b, gml_value *x, gml_value *y)
{
    return gml_build_binary(b, &gml_op_mul, x, y);
}

gml_value *gml_build_div(gml_build *b, gml_value *x, gml_value *y)
{
    return gml_build_binary(b, &gml_op_div, x, y);
}

gml_value *gml_build_sqrt(gml_build *b, gml_value *x)
{
    return gml_build_unary(b, &gml_op_sqrt, x);
}

gml_value *gml_build_matmul(gml_build *b, gml_value *x, gml_value *y)
{
    return gml_build_binary(b, &gml_op_matmul, x, y);
}

gml_value *gml_build_where(gml_build *b, gml_value *cond, gml_value *x, gml_value *y)
{
    gml_value *operands[] = {cond, x, y};
    return gml_build_op(b, &gml_op_where, operands, 3, NULL, 0);
}

gml_value *gml_build_add_scalar(gml_build *b, gml_value *x, double value)
{
    return gml_build_add(b, x, gml_build_scalar(b, x->type.dtype, value));
}

gml_value *gml_build_mul_scalar(gml_build *b, gml_value *x, double value)
{
    return gml_build_mul(b, x, gml_build_scalar(b, x->type.dtype, value));
}

gml_value *gml_build_sub_from(gml_build *b, double value, gml_value *x)
{
    return gml_build_sub(b, gml_build_scalar(b, x->type.dtype, value), x);
}

gml_value *gml_build_as_scalar(gml_build *b, gml_value *x)
{
    return x->type.rank == 0 ? x : gml_build_reshape(b, x, NULL, 0);
}

gml_value *gml_build_channels(gml_build *b, gml_value *vector, int rank)
{
    if (rank <= 2)
        return vector;
    int64_t axes[GML_MAX_RANK];
    for (int d = 1; d < rank - 1; d++)
        axes[d - 1] = d;
    return gml_build_unsqueeze(b, vector, axes, (size_t)(rank - 2));
}

gml_value *gml_build_range(gml_build *b, gml_dim length)
{
    gml_value *limit = gml_build_as_scalar(b, gml_build_dims(b, &length, 1));
    gml_value *operands[] = {gml_build_scalar(b, GML_I64, 0), limit,
                             gml_build_scalar(b, GML_I64, 1)};
    return gml_build_op(b, &gml_op_range, operands, 3, NULL, 0);
}

gml_value *gml_build_softmax(gml_build *b, gml_value *x)
{
    gml_attr axis = gml_attr_int("axis", -1);
    return gml_build_op(b, &gml_op_softmax, &x, 1, &axis, 1);
}

gml_value *gml_build_sigmoid(gml_build *b, gml_value *x)
{
    return gml_build_unary(b, &gml_op_sigmoid, x);
}

gml_value *gml_build_zeros(gml_build *b, gml_dtype dtype, const gml_dim *dims, size_t rank)
{
    return gml_build_binary(b, &gml_op_expand, gml_build_scalar(b, dtype, 0),
                            gml_build_dims(b, dims, rank));
}

gml_dim gml_value_dim(const gml_value *value, int axis)
{
    return axis < value->type.rank ? value->type.dims[axis] : 1; /* after a failure: anything */
}

gml_dtype gml_compute_dtype(gml_dtype dtype)
{
    if (gml_dtype_get_class(dtype) == GML_CLASS_FLOAT && gml_dtype_size(dtype) < 4)
        return GML_F32;
    return dtype;
}

gml_value *gml_build_part(gml_build *b, gml_value *x, int64_t axis, gml_dim begin, gml_dim end)
{
    gml_value *operands[4] = {x, gml_build_dims(b, &begin, 1), gml_build_dims(b, &end, 1),
                              gml_build_ints(b, &axis, 1)};
    return gml_build_op(b, &gml_op_slice, operands, 4, NULL, 0);
}

gml_value *gml_build_pad(gml_build *b, gml_value *x, const gml_dim *pads)
{
    gml_value *operands[2] = {x, gml_build_dims(b, pads, 2 * (size_t)x->type.rank)};
    return gml_build_op(b, &gml_op_pad, operands, 2, NULL, 0);
}

gml_value *gml_build_grown(gml_build *b, gml_value *x, int axis, const int64_t *more,
                           size_t count)
{
    gml_dim pads[2 * GML_MAX_RANK] = {0};
    for (size_t i = 0; i < count; i++)
        pads[(size_t)x->type.rank + (size_t)axis + i] = more[i];
    return gml_build_pad(b, x, pads);
}

gml_value *gml_build_size(gml_build *b, gml_dtype dtype, gml_dim size)
{
    if (gml_dim_is_const(size))
        return gml_build_scalar(b, dtype, (double)size);
    return gml_build_cast(b, gml_build_as_scalar(b, gml_build_dims(b, &size, 1)), dtype);
}

gml_value *gml_build_resized(gml_build *b, gml_value *x, int axis, gml_dim size)
{
    gml_dim pads[2 * GML_MAX_RANK] = {0};
    if (axis >= x->type.rank || x->type.dims[axis] == size)
        return x;
    pads[x->type.rank + axis] = gml_dim_sub(&b->graph->module->dims, size, x->type.dims[axis]);
    return gml_build_pad(b, x, pads);
}
