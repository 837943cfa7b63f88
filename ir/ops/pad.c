/* ir/ops/pad.c - Pad: elements before and after along each axis; negative counts take away.
 *
 * Position p of the result is position q = p - before of the operand, and where that is
 * outside: constant  the value edge      q moved to the nearest end reflect   r = q mod 2 (size
 * - 1), min(r, 2 (size - 1) - r) wrap      q mod size */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "constant"},
    {NULL},
};

/* Where the counts of axis number `i` of `n` go. */
static int padded_axis(const gml_dim *axes, size_t i, int rank)
{
    int64_t axis = axes ? axes[i] : (int64_t)i;
    return (int)(axis < 0 ? axis + rank : axis);
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const gml_dim *pads;
    const int64_t *axes;
    size_t n_pads;
    size_t n_axes;
    unsigned set;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_elements(cx, 1, &pads, &n_pads));
    GML_TRY(gml_infer_ints(cx, 3, &axes, &n_axes));
    size_t n = axes ? n_axes : (size_t)data->rank;
    if (n_pads != 2 * n)
        return gml_infer_fail(cx, GML_E_SHAPE, "%zu pads for %zu axes", n_pads, n);
    if (axes)
        GML_TRY(gml_infer_axes(cx, axes, n, data->rank, &set));
    bool constant = gml_node_string_is(cx->node, "mode", "constant");
    if (!constant && !gml_node_string_is(cx->node, "mode", "edge") &&
        !gml_node_string_is(cx->node, "mode", "reflect") &&
        !gml_node_string_is(cx->node, "mode", "wrap"))
        return gml_infer_fail(cx, GML_E_INVALID, "unknown mode");
    if (gml_has_operand(cx->node, 2) && gml_operand_type(cx->node, 2)->dtype != data->dtype)
        return gml_infer_fail(cx, GML_E_TYPE, "the value has type %s, the data %s",
                              gml_dtype_name(gml_operand_type(cx->node, 2)->dtype),
                              gml_dtype_name(data->dtype));
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i < data->rank; i++)
        dims[i] = data->dims[i];
    for (size_t i = 0; i < n; i++) {
        int axis = padded_axis(axes, i, data->rank);
        gml_dim both = gml_dim_add(cx->dims, pads[i], pads[n + i]);
        dims[axis] = gml_dim_add(cx->dims, dims[axis], both);
        if (!constant && gml_infer_is_empty(cx, data->dims[axis], dims[axis]))
            return gml_infer_fail(cx, GML_E_SHAPE, "axis %d has no element to repeat", axis);
    }
    return gml_infer_set(cx, 0, data->dtype, data->rank, dims);
}

static const gml_expr *reflect(gml_lower *x, const gml_expr *position, gml_dim size)
{
    gml_dim_pool *pool = x->kernel->dims;
    const gml_expr *period = gml_size(x, gml_dim_mul(pool, 2, gml_dim_sub(pool, size, 1)));
    const gml_expr *there = gml_floormod(x, position, period);
    return gml_min(x, there, gml_sub(x, period, there));
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    const gml_type *data = gml_operand_type(node, 0);
    size_t n_pads;
    size_t n_axes;
    const gml_dim *pads = gml_operand_elements(x, 1, &n_pads);
    const gml_dim *axes = gml_operand_elements(x, 3, &n_axes);
    const gml_expr *from[GML_MAX_RANK];
    const gml_expr *inside = NULL;
    gml_copy_index(index, data->rank, from);
    for (size_t i = 0; i < n_pads / 2; i++) {
        if (pads[i] == 0 && pads[n_pads / 2 + i] == 0)
            continue;
        int axis = padded_axis(axes, i, data->rank);
        gml_dim size = data->dims[axis];
        const gml_expr *position = gml_sub(x, index[axis], gml_size(x, pads[i]));
        from[axis] = position;
        if (gml_node_string_is(node, "mode", "edge")) {
            from[axis] = gml_clamp_index(x, position, size);
        } else if (gml_node_string_is(node, "mode", "reflect")) {
            from[axis] = reflect(x, position, size);
        } else if (gml_node_string_is(node, "mode", "wrap")) {
            from[axis] = gml_floormod(x, position, gml_size(x, size));
        } else {
            const gml_expr *here = gml_in_range(x, position, size);
            inside = inside ? gml_and(x, inside, here) : here;
        }
    }
    if (!inside)
        return gml_at(x, 0, from);
    const gml_expr *value =
        gml_has_operand(node, 2) ? gml_at_scalar(x, 2) : gml_const(x, data->dtype, 0.0);
    return gml_at_if(x, 0, from, inside, value);
}

/* Where copies of elements are put around: positions are padded likewise, and say where
 * gradients are added, axis by axis. */
static gml_status grad_of_copies(gml_grad *g, const gml_dim *axes, const gml_dim *pads,
                                 size_t n)
{
    gml_build *b = &g->b;
    const gml_type *data = &g->node->operands[0]->type;
    gml_string mode = gml_node_string(g->node, "mode");
    gml_value *dx = g->results[0];
    size_t rank = (size_t)data->rank;
    for (size_t i = 0; i < n; i++) {
        int axis = padded_axis(axes, i, data->rank);
        gml_dim both[2] = {pads[i], pads[n + i]};
        gml_value *operands[2] = {gml_build_range(b, data->dims[axis]),
                                  gml_build_dims(b, both, 2)};
        gml_attr attr = gml_attr_string(
            "mode", gml_arena_text(&g->node->graph->module->arena, mode.data, mode.len));
        gml_value *from = gml_build_op(b, &gml_op_pad, operands, 2, &attr, 1);
        gml_dim line[GML_MAX_RANK];
        gml_dim dims[GML_MAX_RANK];
        for (size_t d = 0; d < rank; d++) {
            line[d] = d == (size_t)axis ? dx->type.dims[d] : 1;
            dims[d] = d == (size_t)axis ? data->dims[d] : dx->type.dims[d];
        }
        from = gml_grad_expand_like(b, gml_build_reshape(b, from, line, rank), dx);
        gml_value *parts[3] = {gml_build_zeros(b, data->dtype, dims, rank), from, dx};
        gml_attr attrs_of[2] = {gml_attr_int("axis", axis),
                                gml_attr_string("reduction", "add")};
        dx = gml_build_op(b, &gml_op_scatterelements, parts, 3, attrs_of, 2);
    }
    g->operands[0] = dx;
    return b->status;
}

/* What was put around is taken away. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    const gml_node *node = g->node;
    gml_arena *arena = &node->graph->module->arena;
    gml_dim_pool *pool = &node->graph->module->dims;
    int rank = node->operands[0]->type.rank;
    size_t n_pads = 0;
    size_t n_axes = 0;
    const gml_dim *axes =
        gml_has_operand(node, 3) ? gml_value_elements(node->operands[3], arena, &n_axes) : NULL;
    const gml_dim *pads = gml_value_elements(node->operands[1], arena, &n_pads);
    if (!gml_node_string_is(node, "mode", "constant"))
        return grad_of_copies(g, axes, pads, n_pads / 2);
    gml_dim back[2 * GML_MAX_RANK] = {0};
    for (size_t i = 0; i < n_pads / 2; i++) {
        int axis = padded_axis(axes, i, rank);
        back[axis] = gml_dim_sub(pool, 0, pads[i]);
        back[rank + axis] = gml_dim_sub(pool, 0, pads[n_pads / 2 + i]);
    }
    gml_value *dx = gml_build_pad(b, g->results[0], back);
    g->operands[0] = dx;
    if (node->n_operands > 2 && g->wanted[2]) { /* all that is not dx */
        gml_value *around =
            gml_build_reduce(b, &gml_op_reducesum, g->results[0], NULL, 0, false);
        gml_value *inside = gml_build_reduce(b, &gml_op_reducesum, dx, NULL, 0, false);
        gml_value *value = gml_build_sub(b, around, inside);
        g->operands[2] = gml_grad_reshape_like(b, value, node->operands[2]);
    }
    return b->status;
}

const gml_op_info gml_op_pad = {
    .name = "Pad",
    .doc = "A tensor with elements added, or taken away, at both ends of its axes.",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .value_operands = 1u << 1 | 1u << 3,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
