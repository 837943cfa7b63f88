/* ir/ops/deformconv.c - DeformConv: convolution whose taps are moved by learned offsets.
 *
 * X (N, C, in…), W (M, C/group, kernel…), offset (N, G K n, out…), B (M), mask (N, G K, out…),
 * with n spatial dimensions, K taps, G offset groups. Tap k of offset group g is moved along
 * axis d by offset channel (g K + k) n + d, read with linear interpolation, zero outside the
 * input, and multiplied by mask channel g K + k.
 */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/sample_grad_util.h"
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

/* ---- the gradient -------------------------------------------------------------------------
 * Columns of moved taps, and a product of matrices. */

/* Where tap and output position start along axis `d`, (1, K, P). */
static gml_value *build_start(gml_grad *g, const gml_window *window, int d, gml_dim taps,
                              gml_dim places)
{
    gml_build *b = &g->b;
    gml_dim dims[2 * GML_MAX_RANK];
    gml_dim all[2 * GML_MAX_RANK];
    int n = window->rank;
    gml_value *start = NULL;
    for (int side = 0; side < 2; side++) {
        for (int i = 0; i < 2 * n; i++) {
            all[i] = i < n ? window->kernel[i] : window->out[i - n];
            dims[i] = i == side * n + d ? all[i] : 1;
        }
        gml_value *range = gml_build_range(b, side ? window->out[d] : window->kernel[d]);
        range = gml_build_mul_scalar(b, range,
                                     (double)(side ? window->stride[d] : window->dilation[d]));
        range = gml_build_reshape(b, range, dims, 2 * (size_t)n);
        start = start ? gml_build_add(b, start, range) : range;
    }
    start = gml_build_sub(b, start, gml_build_size(b, GML_I64, window->pad_begin[d]));
    start = gml_build_binary(b, &gml_op_expand, start, gml_build_dims(b, all, 2 * (size_t)n));
    return gml_build_reshape(b, start, (const gml_dim[]){1, taps, places}, 3);
}

/* What taps read, (N, G, C / G, K, P), times the mask. */
static gml_value *build_columns(gml_grad *g, gml_value *const *operands,
                                const gml_window *window, gml_dim taps, gml_dim places)
{
    gml_build *b = &g->b;
    gml_dim_pool *pool = &g->node->graph->module->dims;
    gml_dtype wide = gml_compute_dtype(operands[0]->type.dtype);
    int64_t groups = gml_node_int(g->node, "offset_group", 1);
    int64_t second = 2;
    int64_t last = 3;
    int n = window->rank;
    gml_dim batch = operands[0]->type.dims[0];
    gml_dim parts = gml_dim_mul(pool, batch, groups);
    gml_dim channels = gml_dim_div(pool, operands[0]->type.dims[1], groups);
    gml_dim image[GML_MAX_RANK] = {parts, channels};
    gml_taps along[GML_MAX_RANK];
    gml_value *offset = gml_build_cast(b, operands[GML_OFFSET], wide);
    offset = gml_build_reshape(b, offset, (const gml_dim[]){parts, taps, n, places}, 4);
    for (int d = 0; d < n; d++) {
        gml_value *move = gml_build_slice(b, offset, 2, d, d + 1);
        gml_value *place = build_start(g, window, d, taps, places);
        place = gml_build_add(b, gml_build_cast(b, place, wide),
                              gml_build_squeeze(b, move, &second, 1));
        gml_dim rows[2] = {parts, gml_dim_mul(pool, taps, places)};
        place = gml_build_reshape(b, place, rows, 2);
        along[d] = gml_build_linear_taps(b, place, window->in[d]);
        image[d + 2] = window->in[d];
    }
    gml_value *x = gml_build_cast(b, operands[0], wide);
    x = gml_build_reshape(b, x, image, (size_t)n + 2);
    x = gml_build_taps(b, x, n, along);
    x = gml_build_reduce(b, &gml_op_reducesum, x, &last, 1, false);
    x = gml_build_reshape(b, x, (const gml_dim[]){batch, groups, channels, taps, places}, 5);
    if (!gml_has_operand(g->node, GML_MASK))
        return x;
    gml_value *mask = gml_build_cast(b, operands[GML_MASK], wide);
    mask = gml_build_reshape(b, mask, (const gml_dim[]){batch, groups, 1, taps, places}, 5);
    return gml_build_mul(b, x, mask);
}

static gml_value *formula(gml_grad *g, gml_value *const *operands)
{
    gml_build *b = &g->b;
    gml_dim_pool *pool = &g->node->graph->module->dims;
    const gml_type *weight = &operands[1]->type;
    const gml_type *y = &g->node->results[0].type;
    gml_dtype wide = gml_compute_dtype(y->dtype);
    int64_t groups = gml_node_int(g->node, "group", 1);
    gml_window window;
    if (gml_window_read(&window, pool, g->node, weight->dims + 2))
        GML_BUG("a window that infer accepted");
    gml_dim taps = 1;
    gml_dim places = 1;
    for (int d = 0; d < window.rank; d++) {
        taps = gml_dim_mul(pool, taps, window.kernel[d]);
        places = gml_dim_mul(pool, places, window.out[d]);
    }
    gml_dim inner = gml_dim_mul(pool, weight->dims[1], taps);
    gml_dim outer = gml_dim_div(pool, weight->dims[0], groups);
    gml_value *columns = build_columns(g, operands, &window, taps, places);
    columns =
        gml_build_reshape(b, columns, (const gml_dim[]){y->dims[0], groups, inner, places}, 4);
    gml_value *w = gml_build_cast(b, operands[1], wide);
    w = gml_build_reshape(b, w, (const gml_dim[]){groups, outer, inner}, 3);
    gml_value *sum = gml_build_matmul(b, w, columns);
    sum = gml_build_reshape(b, sum, y->dims, (size_t)y->rank);
    if (gml_has_operand(g->node, GML_BIAS)) {
        gml_value *bias = gml_build_cast(b, operands[GML_BIAS], wide);
        sum = gml_build_add(b, sum, gml_build_channels(b, bias, y->rank));
    }
    return gml_build_cast(b, sum, y->dtype);
}

static gml_status grad(gml_grad *g)
{
    if (2 * (g->node->operands[0]->type.rank - 2) > GML_MAX_RANK)
        return gml_fail(g->b.diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the gradient of an input of rank %d", g->node->operands[0]->type.rank);
    return gml_grad_by_formula(g, formula);
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
    .grad = grad,
};
