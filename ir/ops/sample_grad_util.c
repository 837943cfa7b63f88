/* ir/ops/sample_grad_util.c - interpolation spelled out in nodes. */
#include "ir/ops/sample_grad_util.h"

#include "ir/ops/build_util.h"

gml_value *gml_build_entry(gml_build *b, gml_value *x, int64_t k)
{
    int64_t last = x->type.rank - 1;
    return gml_build_squeeze(b, gml_build_slice(b, x, last, k, k + 1), &last, 1);
}

gml_value *gml_build_clamp(gml_build *b, gml_value *x, gml_value *low, gml_value *high)
{
    gml_value *least = gml_build_binary(b, &gml_op_max, x, low);
    return gml_build_binary(b, &gml_op_min, least, high);
}

gml_value *gml_build_neighbours(gml_build *b, gml_value *positions, int64_t first,
                                int64_t count)
{
    int64_t offsets[8] = {0};
    int64_t last = positions->type.rank;
    gml_value *below = gml_build_unary(b, &gml_op_floor, positions);
    for (int64_t k = 0; k < count && k < 8; k++)
        offsets[k] = first + k;
    gml_value *steps = gml_build_ints(b, offsets, (size_t)count);
    steps = gml_build_cast(b, steps, positions->type.dtype);
    return gml_build_add(b, gml_build_unsqueeze(b, below, &last, 1), steps);
}

gml_value *gml_build_linear_kernel(gml_build *b, gml_value *distance)
{
    gml_value *rest = gml_build_sub_from(b, 1, gml_build_unary(b, &gml_op_abs, distance));
    return gml_build_unary(b, &gml_op_relu, rest);
}

gml_value *gml_build_cubic_kernel(gml_build *b, gml_value *distance, double a)
{
    gml_dtype dtype = distance->type.dtype;
    gml_value *zero = gml_build_scalar(b, dtype, 0);
    gml_value *one = gml_build_scalar(b, dtype, 1);
    gml_value *two = gml_build_scalar(b, dtype, 2);
    gml_value *d = gml_build_unary(b, &gml_op_abs, distance);
    gml_value *square = gml_build_mul_scalar(b, gml_build_mul(b, d, d), a + 2);
    gml_value *near = gml_build_sub(b, gml_build_add(b, one, d), square);
    near = gml_build_mul(b, gml_build_sub(b, one, d), near);
    gml_value *rest = gml_build_sub(b, d, two);
    gml_value *far = gml_build_mul_scalar(b, gml_build_sub(b, d, one), a);
    far = gml_build_mul(b, far, gml_build_mul(b, rest, rest));
    far = gml_build_where(b, gml_build_binary(b, &gml_op_less, d, two), far, zero);
    return gml_build_where(b, gml_build_binary(b, &gml_op_lessorequal, d, one), near, far);
}

gml_value *gml_build_inside(gml_build *b, gml_value *position, gml_dim size, gml_value *value)
{
    gml_dtype dtype = position->type.dtype;
    gml_value *zero = gml_build_scalar(b, dtype, 0);
    gml_value *low = gml_build_binary(b, &gml_op_lessorequal, zero, position);
    gml_value *high =
        gml_build_binary(b, &gml_op_less, position, gml_build_size(b, dtype, size));
    return gml_build_where(b, gml_build_binary(b, &gml_op_and, low, high), value,
                           gml_build_scalar(b, value->type.dtype, 0));
}

gml_taps gml_build_linear_taps(gml_build *b, gml_value *positions, gml_dim size)
{
    int64_t last = positions->type.rank;
    gml_taps taps = {.index = gml_build_neighbours(b, positions, 0, 2), .count = 2};
    gml_value *distance =
        gml_build_sub(b, taps.index, gml_build_unsqueeze(b, positions, &last, 1));
    gml_value *weight = gml_build_linear_kernel(b, distance);
    taps.weight = gml_build_inside(b, taps.index, size, weight);
    return taps;
}

/* `x` (N, P, count) with `count` as axis `i` of `n`: (N, P, 1…, count, 1…). */
static gml_value *spread(gml_build *b, gml_value *x, int i, int n)
{
    int64_t axes[GML_MAX_RANK];
    size_t n_axes = 0;
    for (int d = 0; d < n; d++)
        if (d != i)
            axes[n_axes++] = d + 2;
    return n_axes ? gml_build_unsqueeze(b, x, axes, n_axes) : x;
}

gml_value *gml_build_taps(gml_build *b, gml_value *x, int n, const gml_taps *taps)
{
    gml_dim_pool *pool = &b->graph->module->dims;
    gml_dim batch = taps[0].index->type.dims[0];
    gml_dim places = taps[0].index->type.dims[1];
    gml_dim channels = x->type.dims[1];
    gml_value *index = NULL;
    gml_value *weight = NULL;
    gml_dim elements = 1;
    gml_dim count = 1;
    for (int i = n - 1; i >= 0; i--) {
        gml_dim size = x->type.dims[2 + i];
        gml_dim end = gml_dim_sub(pool, size, 1);
        gml_value *at = gml_build_cast(b, taps[i].index, GML_I64);
        at = gml_build_clamp(b, at, gml_build_scalar(b, GML_I64, 0),
                             gml_build_size(b, GML_I64, end));
        at = gml_build_mul(b, at, gml_build_size(b, GML_I64, elements));
        at = spread(b, at, i, n);
        index = index ? gml_build_add(b, index, at) : at;
        if (taps[i].weight) {
            gml_value *more = spread(b, taps[i].weight, i, n);
            weight = weight ? gml_build_mul(b, weight, more) : more;
        }
        elements = gml_dim_mul(pool, elements, size);
        count = gml_dim_mul(pool, count, taps[i].count);
    }
    gml_dim all = gml_dim_mul(pool, places, count);
    gml_dim row[3] = {batch, 1, all};
    gml_dim rows[3] = {batch, channels, all};
    gml_dim flat[3] = {batch, channels, elements};
    gml_dim terms[4] = {batch, channels, places, count};
    index = gml_build_reshape(b, index, row, 3);
    gml_value *operands[2] = {
        gml_build_reshape(b, x, flat, 3),
        gml_build_binary(b, &gml_op_expand, index, gml_build_dims(b, rows, 3))};
    gml_attr axis = gml_attr_int("axis", 2);
    gml_value *y = gml_build_op(b, &gml_op_gatherelements, operands, 2, &axis, 1);
    y = gml_build_reshape(b, y, terms, 4);
    if (!weight)
        return y;
    terms[1] = 1;
    return gml_build_mul(b, y, gml_build_reshape(b, weight, terms, 4));
}
