/* ir/ops/maxpool.c - MaxPool: the greatest element under a window, and where it is.
 *
 * The second result is the flat position in the whole input of the first greatest element, in
 * row-major order of the window. storage_order 1 flattens the spatial position column-major.
 */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/window_util.h"

#include <string.h>

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

/* The gradient goes to where the greatest element was. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_node *node = g->node;
    gml_value *x = node->operands[0];
    if (!g->results[0])
        return GML_OK;
    gml_attr *attrs_of = gml_new_array(g->scratch, gml_attr, node->n_attrs + 1);
    size_t n = 0;
    for (uint32_t i = 0; i < node->n_attrs; i++)
        if (strcmp(node->attrs[i].name, "storage_order") != 0)
            attrs_of[n++] = node->attrs[i];
    gml_node *again = gml_build_node(b, &gml_op_maxpool, &x, 1, attrs_of, n, 2);
    gml_dim_pool *pool = &node->graph->module->dims;
    gml_dim all = gml_type_numel(pool, &x->type);
    gml_dim taken = gml_type_numel(pool, &again->results[0].type);
    gml_value *operands[3] = {gml_build_zeros(b, x->type.dtype, &all, 1),
                              gml_build_reshape(b, &again->results[1], &taken, 1),
                              gml_build_reshape(b, g->results[0], &taken, 1)};
    gml_attr add = gml_attr_string("reduction", "add");
    gml_value *flat = gml_build_op(b, &gml_op_scatterelements, operands, 3, &add, 1);
    g->operands[0] = gml_grad_reshape_like(b, flat, x);
    return b->status;
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
    .grad = grad,
};
