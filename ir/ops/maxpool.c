/* ir/ops/maxpool.c - MaxPool: the greatest element under a window, and where it is.
 *
 * The second result is the flat position in the whole input of the first greatest element, in
 * row-major order of the window. storage_order 1 flattens the spatial position column-major.
 */
#include "ir/ops/expect_util.h"
#include "ir/ops/window_util.h"

static const gml_attr_spec attrs[] = {
    {"auto_pad", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "NOTSET"},
    {"ceil_mode", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"dilations", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"kernel_shape", GML_ATTR_INTS, GML_ATTR_REQUIRED},
    {"pads", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"storage_order", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"strides", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER));
    GML_TRY(gml_pool_infer(cx));
    const gml_type *pooled = &cx->node->results[0].type;
    return gml_infer_set(cx, 1, GML_I64, pooled->rank, pooled->dims);
}

static const gml_expr *greatest(gml_lower *x, const gml_window *window,
                                const gml_expr *const *index)
{
    const gml_axis *axes[GML_MAX_RANK];
    gml_window_axes(x, window, axes);
    const gml_expr *at[GML_MAX_RANK] = {index[0], index[1]};
    const gml_expr *inside = gml_window_positions(x, window, index + 2, axes, at + 2);
    const gml_expr *lowest = gml_lowest(x, gml_operand_dtype(x, 0));
    return gml_reduce_over(x, GML_REDUCE_MAX, axes, (unsigned)window->rank,
                           gml_at_if(x, 0, at, inside, lowest));
}

/* Row-major flat position of the first element equal to the greatest; a NaN equals a NaN. */
static const gml_expr *first_position(gml_lower *x, const gml_window *window,
                                      const gml_expr *const *index)
{
    const gml_axis *axes[GML_MAX_RANK];
    gml_window_axes(x, window, axes);
    const gml_expr *at[GML_MAX_RANK] = {index[0], index[1]};
    const gml_expr *inside = gml_window_positions(x, window, index + 2, axes, at + 2);
    gml_dtype dtype = gml_operand_dtype(x, 0);
    const gml_expr *element = gml_at_if(x, 0, at, inside, gml_lowest(x, dtype));
    const gml_expr *found = gml_eq(x, element, greatest(x, window, index));
    if (gml_dtype_is_float(dtype))
        found = gml_or(x, found, gml_unary(x, GML_X_ISNAN, element));
    found = gml_both(x, found, inside);
    const gml_expr *flat = gml_flatten(x, window->rank, window->in, at + 2);
    const gml_expr *candidate = gml_select(x, found, flat, gml_i64(x, INT64_MAX));
    return gml_reduce_over(x, GML_REDUCE_MIN, axes, (unsigned)window->rank, candidate);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    gml_window window;
    gml_window_lower(x, node, NULL, &window);
    if (result == 0)
        return greatest(x, &window, index);
    const gml_expr *flat = first_position(x, &window, index);
    const gml_expr *size = gml_i64(x, 1);
    for (int d = 0; d < window.rank; d++)
        size = gml_mul(x, size, gml_size(x, window.in[d]));
    const gml_expr *channel = gml_mul(x, index[0], gml_size(x, gml_operand_dim(x, 0, 1)));
    channel = gml_add(x, channel, index[1]);
    const gml_expr *inner = flat;
    if (gml_node_int(node, "storage_order", 0) == 1) {
        const gml_expr *position[GML_MAX_RANK];
        gml_unflatten(x, flat, window.rank, window.in, position);
        const gml_expr *step = gml_i64(x, 1);
        inner = gml_i64(x, 0);
        for (int d = 0; d < window.rank; d++) {
            inner = gml_add(x, inner, gml_mul(x, position[d], step));
            step = gml_mul(x, step, gml_size(x, window.in[d]));
        }
    }
    const gml_expr *place = gml_add(x, gml_mul(x, channel, size), inner);
    /* a window that touches no element has no position */
    return gml_select(x, gml_eq(x, flat, gml_i64(x, INT64_MAX)), gml_i64(x, -1), place);
}

const gml_op_info gml_op_maxpool = {
    .name = "MaxPool",
    .doc = "The greatest element under a window that slides over every channel.",
    .min_in = 1,
    .max_in = 1,
    .min_out = 1,
    .max_out = 2,
    .traits = GML_REDUCES,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
};
