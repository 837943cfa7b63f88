/* ir/ops/window_util.c - the geometry of sliding windows.
 *
 * With e = (kernel - 1) * dilation + 1, the width of the dilated kernel:
 *     explicit padding   out = floor((in + pads - e) / stride) + 1, or ceil with ceil_mode,
 * less the windows that would start in the padding at the end VALID              the same
 * without padding SAME_*             out = ceil(in / stride); padding makes it fit, an odd one
 * more at the end (UPPER) or at the beginning (LOWER)
 */
#include "ir/ops/window_util.h"

#include "ir/ops/expect_util.h"

/* Strides, dilations and paddings beyond this are nonsense, and would overflow index
 * arithmetic. */
#define GML_WINDOW_LIMIT ((int64_t)1 << 31)

static const char *read_ints(const gml_node *node, const char *name, int rank, int64_t lowest,
                             int64_t *out_values)
{
    size_t count;
    const int64_t *values = gml_node_ints(node, name, &count);
    if (!values || count == 0) {
        for (int d = 0; d < rank; d++)
            out_values[d] = lowest;
        return NULL;
    }
    if (count != (size_t)rank)
        return "an attribute's length does not fit the rank of the input";
    for (int d = 0; d < rank; d++) {
        if (values[d] < lowest || values[d] >= GML_WINDOW_LIMIT)
            return "strides and dilations must be positive, padding not negative";
        out_values[d] = values[d];
    }
    return NULL;
}

/* Everything but padding and output sizes. */
static const char *read_shape(gml_window *window, const gml_node *node, const gml_dim *kernel)
{
    const gml_type *type = gml_operand_type(node, 0);
    int rank = type->rank - 2;
    window->rank = rank;
    for (int d = 0; d < rank; d++)
        window->in[d] = type->dims[d + 2];
    const char *fault = read_ints(node, "strides", rank, 1, window->stride);
    if (!fault)
        fault = read_ints(node, "dilations", rank, 1, window->dilation);
    size_t count;
    const int64_t *attribute = gml_node_ints(node, "kernel_shape", &count);
    if (!fault && count && count != (size_t)rank)
        return "kernel_shape does not fit the rank of the input";
    if (!fault && !count && !kernel)
        return "there is no kernel_shape";
    for (int d = 0; d < rank && !fault; d++) {
        if (count && (attribute[d] < 1 || attribute[d] >= GML_WINDOW_LIMIT))
            return "kernel_shape has no elements, or far too many";
        window->kernel[d] = count ? attribute[d] : kernel[d];
        if (count && kernel && gml_dim_differs(attribute[d], kernel[d]))
            fault = "kernel_shape is not the shape of the weight";
        if (gml_dim_is_const(window->kernel[d]) &&
            (window->kernel[d] < 1 || window->kernel[d] >= GML_WINDOW_LIMIT))
            fault = "the kernel has no elements, or far too many";
    }
    return fault;
}

/* The width of the dilated kernel. */
static gml_dim extent_of(const gml_window *window, gml_dim_pool *pool, int d)
{
    gml_dim steps = gml_dim_sub(pool, window->kernel[d], 1);
    return gml_dim_add(pool, gml_dim_mul(pool, steps, window->dilation[d]), 1);
}

/* Splits `total` into both ends. */
static void split_padding(gml_window *window, gml_dim_pool *pool, int d, gml_dim total,
                          bool upper)
{
    gml_dim less = gml_dim_div(pool, total, 2);
    gml_dim more = gml_dim_sub(pool, total, less);
    window->pad_begin[d] = upper ? less : more;
    window->pad_end[d] = upper ? more : less;
}

static void size_same(gml_window *window, gml_dim_pool *pool, int d, bool upper)
{
    gml_dim in = window->in[d];
    gml_dim out = gml_dim_ceil_div(pool, in, window->stride[d]);
    gml_dim reach = gml_dim_mul(pool, gml_dim_sub(pool, out, 1), window->stride[d]);
    reach = gml_dim_add(pool, reach, extent_of(window, pool, d));
    window->out[d] = out;
    split_padding(window, pool, d, gml_dim_max(pool, gml_dim_sub(pool, reach, in), 0), upper);
}

static void size_explicit(gml_window *window, gml_dim_pool *pool, int d, bool ceil_mode)
{
    gml_dim begun = gml_dim_add(pool, window->in[d], window->pad_begin[d]);
    gml_dim room = gml_dim_add(pool, begun, window->pad_end[d]);
    room = gml_dim_sub(pool, room, extent_of(window, pool, d));
    int64_t stride = window->stride[d];
    if (!ceil_mode) {
        window->out[d] = gml_dim_add(pool, gml_dim_div(pool, room, stride), 1);
        return;
    }
    gml_dim out = gml_dim_add(pool, gml_dim_ceil_div(pool, room, stride), 1);
    window->out[d] = gml_dim_min(pool, out, gml_dim_ceil_div(pool, begun, stride));
}

static const char *read_padding(const gml_node *node, gml_window *window)
{
    int64_t pads[2 * GML_MAX_RANK] = {0};
    if (!gml_node_string_is(node, "auto_pad", "VALID")) {
        const char *fault = read_ints(node, "pads", 2 * window->rank, 0, pads);
        if (fault)
            return fault;
    }
    for (int d = 0; d < window->rank; d++) {
        window->pad_begin[d] = pads[d];
        window->pad_end[d] = pads[d + window->rank];
    }
    return NULL;
}

static bool auto_pad_is_known(const gml_node *node)
{
    return gml_node_string_is(node, "auto_pad", "NOTSET") ||
           gml_node_string_is(node, "auto_pad", "VALID") ||
           gml_node_string_is(node, "auto_pad", "SAME_UPPER") ||
           gml_node_string_is(node, "auto_pad", "SAME_LOWER");
}

const char *gml_window_read(gml_window *window, gml_dim_pool *pool, const gml_node *node,
                            const gml_dim *kernel)
{
    const char *fault = read_shape(window, node, kernel);
    if (!fault && gml_node_find_attr(node, "auto_pad") && !auto_pad_is_known(node))
        fault = "auto_pad is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER";
    if (!fault)
        fault = read_padding(node, window);
    if (fault)
        return fault;
    bool upper = gml_node_string_is(node, "auto_pad", "SAME_UPPER");
    bool lower = gml_node_string_is(node, "auto_pad", "SAME_LOWER");
    bool ceil_mode = gml_node_int(node, "ceil_mode", 0) != 0;
    for (int d = 0; d < window->rank; d++) {
        if (upper || lower)
            size_same(window, pool, d, upper);
        else
            size_explicit(window, pool, d, ceil_mode);
        if (gml_dim_is_const(window->out[d]) && window->out[d] < 0)
            return "the kernel is larger than the padded input";
    }
    return NULL;
}

const char *gml_window_read_transposed(gml_window *window, gml_dim_pool *pool,
                                       const gml_node *node, const gml_dim *kernel)
{
    const char *fault = read_shape(window, node, kernel);
    if (!fault && gml_node_find_attr(node, "auto_pad") && !auto_pad_is_known(node))
        fault = "auto_pad is none of NOTSET, VALID, SAME_UPPER, SAME_LOWER";
    if (!fault)
        fault = read_padding(node, window);
    int64_t extra[GML_MAX_RANK] = {0};
    if (!fault)
        fault = read_ints(node, "output_padding", window->rank, 0, extra);
    int64_t shape[GML_MAX_RANK] = {0};
    size_t n_shape;
    (void)gml_node_ints(node, "output_shape", &n_shape);
    if (!fault && n_shape)
        fault = read_ints(node, "output_shape", window->rank, 0, shape);
    if (fault)
        return fault;
    bool upper = gml_node_string_is(node, "auto_pad", "SAME_UPPER");
    bool lower = gml_node_string_is(node, "auto_pad", "SAME_LOWER");
    for (int d = 0; d < window->rank; d++) {
        gml_dim full =
            gml_dim_mul(pool, gml_dim_sub(pool, window->in[d], 1), window->stride[d]);
        full = gml_dim_add(pool, full, extent_of(window, pool, d));
        full = gml_dim_add(pool, full, extra[d]);
        if (n_shape || upper || lower) {
            window->out[d] =
                n_shape ? shape[d] : gml_dim_mul(pool, window->in[d], window->stride[d]);
            split_padding(window, pool, d, gml_dim_sub(pool, full, window->out[d]), upper);
        } else {
            full = gml_dim_sub(pool, full, window->pad_begin[d]);
            window->out[d] = gml_dim_sub(pool, full, window->pad_end[d]);
        }
        if (gml_dim_is_const(window->out[d]) && window->out[d] < 0)
            return "the padding is larger than the output";
    }
    return NULL;
}

void gml_window_assume(gml_infer *cx, const gml_dim *kernel, const gml_window *window)
{
    for (int d = 0; kernel && d < window->rank; d++) {
        (void)gml_infer_differ(cx, kernel[d], window->kernel[d]);
        (void)gml_infer_exceeds(cx, 1, window->kernel[d]);
    }
}

gml_status gml_window_infer(gml_infer *cx, const gml_dim *kernel, gml_window *out_window)
{
    const char *fault = gml_window_read(out_window, cx->dims, cx->node, kernel);
    if (fault)
        return gml_infer_fail(cx, GML_E_SHAPE, "%s", fault);
    gml_window_assume(cx, kernel, out_window);
    return GML_OK;
}

void gml_window_lower(gml_lower *x, const gml_node *node, const gml_dim *kernel,
                      gml_window *out_window)
{
    if (gml_window_read(out_window, x->kernel->dims, node, kernel))
        GML_BUG("a window that infer accepted");
}

gml_status gml_pool_infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    if (type->rank < 3)
        return gml_infer_fail(cx, GML_E_SHAPE, "the input has rank %d, less than 3",
                              type->rank);
    gml_window window;
    GML_TRY(gml_window_infer(cx, NULL, &window));
    gml_dim dims[GML_MAX_RANK] = {type->dims[0], type->dims[1]};
    for (int d = 0; d < window.rank; d++)
        dims[d + 2] = window.out[d];
    return gml_infer_set(cx, 0, type->dtype, type->rank, dims);
}

void gml_window_axes(gml_lower *x, const gml_window *window, const gml_axis **out_axes)
{
    for (int d = 0; d < window->rank; d++)
        out_axes[d] = gml_reduce_axis(x, window->kernel[d]);
}

const gml_expr *gml_both(gml_lower *x, const gml_expr *a, const gml_expr *b)
{
    if (!a || !b)
        return a ? a : b;
    return gml_and(x, a, b);
}

const gml_expr *gml_window_positions(gml_lower *x, const gml_window *window,
                                     const gml_expr *const *out, const gml_axis *const *axes,
                                     const gml_expr **out_positions)
{
    const gml_expr *inside = NULL;
    for (int d = 0; d < window->rank; d++) {
        const gml_expr *start = gml_mul(x, out[d], gml_i64(x, window->stride[d]));
        const gml_expr *tap = gml_axis_value(x, axes[d]);
        tap = gml_mul(x, tap, gml_i64(x, window->dilation[d]));
        out_positions[d] =
            gml_sub(x, gml_add(x, start, tap), gml_size(x, window->pad_begin[d]));
        inside = gml_both(x, inside, gml_in_range(x, out_positions[d], window->in[d]));
    }
    return inside;
}

const gml_expr *gml_window_count(gml_lower *x, const gml_window *window,
                                 const gml_expr *const *out, bool padded)
{
    const gml_expr *count = gml_i64(x, 1);
    for (int d = 0; d < window->rank; d++) {
        const gml_expr *dilation = gml_i64(x, window->dilation[d]);
        const gml_expr *start = gml_mul(x, out[d], gml_i64(x, window->stride[d]));
        start = gml_sub(x, start, gml_size(x, window->pad_begin[d]));
        const gml_expr *end = gml_size(x, window->in[d]);
        if (padded)
            end = gml_add(x, end, gml_size(x, window->pad_end[d]));
        /* first tap at 0 or after, first tap at `end` or after */
        const gml_expr *round = gml_i64(x, window->dilation[d] - 1);
        const gml_expr *last =
            gml_floordiv(x, gml_add(x, gml_sub(x, end, start), round), dilation);
        last = gml_min(x, last, gml_size(x, window->kernel[d]));
        const gml_expr *first = gml_i64(x, 0);
        if (!padded) {
            first = gml_floordiv(x, gml_sub(x, round, start), dilation);
            first = gml_max(x, first, gml_i64(x, 0));
        }
        count = gml_mul(x, count, gml_max(x, gml_sub(x, last, first), gml_i64(x, 0)));
    }
    return count;
}
