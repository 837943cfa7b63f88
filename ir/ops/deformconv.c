/* ir/ops/deformconv.c - DeformConv: convolution whose taps are moved by learned offsets.
 *
 * X (N, C, in…), W (M, C/group, kernel…), offset (N, G K n, out…), B (M), mask (N, G K, out…),
 * with n spatial dimensions, K taps, G offset groups. Tap k of offset group g is moved along
 * axis d by offset channel (g K + k) n + d, read with linear interpolation, zero outside the
 * input, and multiplied by mask channel g K + k.
 */
#include "ir/ops/expect_util.h"
#include "ir/ops/window_util.h"

enum { GML_OFFSET = 2, GML_BIAS = 3, GML_MASK = 4 };

static const gml_attr_spec attrs[] = {
    {"dilations", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"group", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"kernel_shape", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"offset_group", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"pads", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"strides", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer_channels(gml_infer *cx, const gml_type *input, const gml_type *weight)
{
    int64_t group = 1;
    int64_t offset_group = 1;
    GML_TRY(gml_expect_count(cx, "group", &group));
    GML_TRY(gml_expect_count(cx, "offset_group", &offset_group));
    GML_TRY(gml_expect_dim(cx, 0, 1, gml_dim_mul(cx->dims, weight->dims[1], group)));
    if (gml_infer_leaves_rest(cx, weight->dims[0], group) ||
        gml_infer_leaves_rest(cx, input->dims[1], offset_group))
        return gml_infer_fail(cx, GML_E_SHAPE, "the channels do not divide by the groups");
    gml_dim taps = offset_group;
    for (int d = 2; d < weight->rank; d++)
        taps = gml_dim_mul(cx->dims, taps, weight->dims[d]);
    GML_TRY(gml_expect_dim(cx, GML_OFFSET, 1, gml_dim_mul(cx->dims, taps, weight->rank - 2)));
    return gml_expect_dim(cx, GML_MASK, 1, taps);
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *input;
    const gml_type *weight;
    GML_TRY(gml_infer_tensor(cx, 0, &input));
    GML_TRY(gml_infer_tensor(cx, 1, &weight));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    if (input->rank < 3)
        return gml_infer_fail(cx, GML_E_SHAPE, "the input has rank %d, less than 3",
                              input->rank);
    for (unsigned k = 1; k <= GML_MASK; k++) {
        GML_TRY(gml_expect_dtype(cx, k, input->dtype));
        if (k != GML_BIAS)
            GML_TRY(gml_expect_rank(cx, k, input->rank));
    }
    GML_TRY(gml_expect_vector(cx, GML_BIAS, weight->dims[0]));
    GML_TRY(infer_channels(cx, input, weight));
    gml_window window;
    GML_TRY(gml_window_infer(cx, weight->dims + 2, &window));
    gml_dim dims[GML_MAX_RANK] = {input->dims[0], weight->dims[0]};
    for (int d = 0; d < window.rank; d++) {
        dims[d + 2] = window.out[d];
        GML_TRY(gml_expect_dim(cx, GML_OFFSET, d + 2, window.out[d]));
        GML_TRY(gml_expect_dim(cx, GML_MASK, d + 2, window.out[d]));
    }
    return gml_infer_set(cx, 0, input->dtype, input->rank, dims);
}

/* The input between its elements at `place` (one float a spatial dimension): the sum over the
 * 2^n corners around it, each by the product of its nearness along every axis. */
static const gml_expr *interpolate(gml_lower *x, const gml_window *window, const gml_expr **at,
                                   const gml_expr *const *place)
{
    const gml_expr *sum = NULL;
    for (unsigned corner = 0; corner < 1U << window->rank; corner++) {
        const gml_expr *weight = NULL;
        const gml_expr *inside = NULL;
        for (int d = 0; d < window->rank; d++) {
            const gml_expr *low = gml_unary(x, GML_X_FLOOR, place[d]);
            const gml_expr *near = gml_sub(x, place[d], low);
            at[d + 2] = gml_cast_flags(x, low, GML_I64, GML_CAST_CLAMP);
            if (corner >> d & 1)
                at[d + 2] = gml_add(x, at[d + 2], gml_i64(x, 1));
            else
                near = gml_sub(x, gml_like(x, near, 1), near);
            weight = weight ? gml_mul(x, weight, near) : near;
            inside = gml_both(x, inside, gml_in_range(x, at[d + 2], window->in[d]));
        }
        gml_dtype dtype = gml_operand_dtype(x, 0);
        const gml_expr *element =
            gml_wide(x, gml_at_if(x, 0, at, inside, gml_const(x, dtype, 0)));
        const gml_expr *part = gml_mul(x, element, weight);
        sum = sum ? gml_add(x, sum, part) : part;
    }
    return sum;
}

/* One tap: input channel `channel` where the offsets put tap `axes`, times its mask. */
static const gml_expr *moved_tap(gml_lower *x, const gml_node *node, const gml_window *window,
                                 const gml_expr *const *index, const gml_axis *const *axes)
{
    const gml_expr *channel = index[1];
    gml_dim per_group = gml_dim_div(x->kernel->dims, gml_operand_dim(x, 0, 1),
                                    gml_node_int(node, "offset_group", 1));
    const gml_expr *flat = gml_floordiv(x, channel, gml_size(x, per_group));
    for (int d = 0; d < window->rank; d++) {
        flat = gml_mul(x, flat, gml_size(x, window->kernel[d]));
        flat = gml_add(x, flat, gml_axis_value(x, axes[d]));
    }
    const gml_expr *at[GML_MAX_RANK] = {index[0]};
    for (int d = 0; d < window->rank; d++)
        at[d + 2] = index[d + 2];
    const gml_expr *start[GML_MAX_RANK];
    (void)gml_window_positions(x, window, index + 2, axes, start);
    const gml_expr *place[GML_MAX_RANK];
    for (int d = 0; d < window->rank; d++) {
        at[1] = gml_add(x, gml_mul(x, flat, gml_i64(x, window->rank)), gml_i64(x, d));
        const gml_expr *offset = gml_wide(x, gml_at(x, GML_OFFSET, at));
        place[d] = gml_add(x, gml_cast(x, start[d], offset->dtype), offset);
    }
    const gml_expr *mask = NULL;
    at[1] = flat;
    if (gml_has_operand(node, GML_MASK))
        mask = gml_wide(x, gml_at(x, GML_MASK, at));
    at[1] = channel;
    const gml_expr *element = interpolate(x, window, at, place);
    return mask ? gml_mul(x, element, mask) : element;
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_type *weight = gml_operand_type(node, 1);
    gml_window window;
    gml_window_lower(x, node, weight->dims + 2, &window);
    const gml_axis *axes[GML_MAX_RANK];
    axes[0] = gml_reduce_axis(x, weight->dims[1]);
    gml_window_axes(x, &window, axes + 1);
    gml_dim per_group =
        gml_dim_div(x->kernel->dims, weight->dims[0], gml_node_int(node, "group", 1));
    const gml_expr *which = gml_floordiv(x, index[1], gml_size(x, per_group));
    const gml_expr *inner = gml_axis_value(x, axes[0]);
    const gml_expr *at_input[GML_MAX_RANK] = {
        index[0], gml_add(x, gml_mul(x, which, gml_size(x, weight->dims[1])), inner)};
    const gml_expr *at_weight[GML_MAX_RANK] = {index[1], inner};
    for (int d = 0; d < window.rank; d++) {
        at_input[d + 2] = index[d + 2];
        at_weight[d + 2] = gml_axis_value(x, axes[d + 1]);
    }
    const gml_expr *tap = moved_tap(x, node, &window, at_input, axes + 1);
    const gml_expr *product = gml_mul(x, tap, gml_wide(x, gml_at(x, 1, at_weight)));
    const gml_expr *sum =
        gml_reduce_over(x, GML_REDUCE_SUM, axes, (unsigned)window.rank + 1, product);
    if (gml_has_operand(node, GML_BIAS))
        sum = gml_add(x, sum, gml_wide(x, gml_at(x, GML_BIAS, &index[1])));
    return gml_cast(x, sum, gml_result_dtype(x, result));
}

const gml_op_info gml_op_deformconv = {
    .name = "DeformConv",
    .doc = "Convolution whose taps are moved by offsets and weighed by a mask.",
    .min_in = 3,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES | GML_CONTRACTION,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
};
