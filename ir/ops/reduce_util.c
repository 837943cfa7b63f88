/* ir/ops/reduce_util.c - reductions over axes given as an operand. */
#include "ir/ops/reduce_util.h"

#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"

const gml_attr_spec gml_reduce_attrs[] = {
    {"keepdims", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"noop_with_empty_axes", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

const gml_attr_spec gml_arg_attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"keepdims", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"select_last_index", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

bool gml_reduce_keeps(const gml_node *node)
{
    return gml_node_int(node, "keepdims", 1) != 0;
}

/* Marks the axes among `elements`; without any, all of them or none. Returns false when one is
 * not known or outside the rank, with its place in *out_bad. */
static bool mark_axes(const gml_node *node, int rank, const gml_dim *elements, size_t count,
                      bool *out_reduced)
{
    bool all = count == 0 && gml_node_int(node, "noop_with_empty_axes", 0) == 0;
    for (int d = 0; d < rank; d++)
        out_reduced[d] = all;
    for (size_t i = 0; i < count; i++) {
        gml_dim axis = elements[i];
        if (!gml_dim_is_const(axis) || axis < -rank || axis >= rank)
            return false;
        out_reduced[axis < 0 ? axis + rank : axis] = true;
    }
    return true;
}

static gml_status reduced_axes(gml_infer *cx, int rank, bool *out_reduced)
{
    const gml_dim *elements = NULL;
    size_t count = 0;
    GML_TRY(gml_infer_elements(cx, 1, &elements, &count));
    if (!mark_axes(cx->node, rank, elements, count, out_reduced))
        return gml_infer_fail(cx, GML_E_SHAPE, "an axis is outside rank %d", rank);
    return GML_OK;
}

static gml_status infer_shape(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    bool reduced[GML_MAX_RANK];
    GML_TRY(reduced_axes(cx, type->rank, reduced));
    bool keeps = gml_reduce_keeps(cx->node);
    gml_dim dims[GML_MAX_RANK];
    int rank = 0;
    for (int d = 0; d < type->rank; d++) {
        if (!reduced[d])
            dims[rank++] = type->dims[d];
        else if (keeps)
            dims[rank++] = 1;
    }
    return gml_infer_set(cx, 0, type->dtype, rank, dims);
}

gml_status gml_reduce_infer(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER));
    return infer_shape(cx);
}

gml_status gml_reduce_infer_ordered(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER | GML_IS_BOOL));
    return infer_shape(cx);
}

const gml_expr *gml_reduce_lower(gml_lower *x, gml_reduce_op op, bool wide,
                                 const gml_expr *const *index, gml_dim *out_count)
{
    int rank = gml_operand_rank(x, 0);
    const gml_dim *elements = NULL;
    size_t count = 0;
    if (gml_has_operand(x->node, 1))
        elements = gml_operand_elements(x, 1, &count);
    bool reduced[GML_MAX_RANK];
    if (!mark_axes(x->node, rank, elements, count, reduced))
        GML_BUG("axes that infer accepted");
    bool keeps = gml_reduce_keeps(x->node);
    const gml_axis *axes[GML_MAX_RANK];
    unsigned n_axes = 0;
    const gml_expr *at[GML_MAX_RANK];
    int next = 0; /* dimension of the result */
    gml_dim size = 1;
    for (int d = 0; d < rank; d++) {
        if (!reduced[d]) {
            at[d] = index[next++];
            continue;
        }
        next += keeps;
        size = gml_dim_mul(x->kernel->dims, size, gml_operand_dim(x, 0, d));
        axes[n_axes] = gml_reduce_axis(x, gml_operand_dim(x, 0, d));
        at[d] = gml_axis_value(x, axes[n_axes++]);
    }
    if (out_count)
        *out_count = size;
    const gml_expr *element = gml_at(x, 0, at);
    if (wide)
        element = gml_wide(x, element);
    return n_axes ? gml_reduce_over(x, op, axes, n_axes, element) : element;
}

gml_value *gml_reduce_build(gml_expand *cx, gml_build *b, const gml_op_info *op, gml_value *x,
                            bool keepdims)
{
    gml_infer reader = gml_expand_infer(cx);
    bool reduced[GML_MAX_RANK];
    int rank = x->type.rank;
    if (b->status == GML_OK)
        b->status = reduced_axes(&reader, rank, reduced);
    if (b->status != GML_OK)
        return x;
    int64_t axes[GML_MAX_RANK];
    size_t n_axes = 0;
    for (int d = 0; d < rank; d++)
        if (reduced[d])
            axes[n_axes++] = d;
    return n_axes ? gml_build_reduce(b, op, x, axes, n_axes, keepdims) : x;
}

gml_dtype gml_reduce_real_dtype(gml_dtype dtype)
{
    return gml_dtype_is_float(dtype) ? gml_compute_dtype(dtype) : GML_F64;
}

const gml_expr *gml_reduce_position(gml_lower *x, gml_reduce_op op, int axis, bool last,
                                    const gml_expr *const *index)
{
    int rank = gml_operand_rank(x, 0);
    gml_dim size = gml_operand_dim(x, 0, axis);
    const gml_axis *axes[2] = {gml_reduce_axis(x, size), gml_reduce_axis(x, size)};
    const gml_expr *at[2][GML_MAX_RANK];
    for (int i = 0; i < 2; i++)
        for (int d = 0; d < rank; d++)
            at[i][d] = d == axis ? gml_axis_value(x, axes[i]) : index[d];
    const gml_expr *extreme = gml_reduce(x, op, axes[0], gml_at(x, 0, at[0]));
    const gml_expr *element = gml_at(x, 0, at[1]);
    const gml_expr *found = gml_eq(x, element, extreme);
    if (gml_dtype_is_float(element->dtype)) /* a NaN is the extreme, and equals nothing */
        found = gml_or(x, found, gml_unary(x, GML_X_ISNAN, element));
    const gml_expr *other = last ? gml_i64(x, -1) : gml_size(x, size);
    const gml_expr *position = gml_select(x, found, gml_axis_value(x, axes[1]), other);
    return gml_reduce(x, last ? GML_REDUCE_MAX : GML_REDUCE_MIN, axes[1], position);
}

gml_status gml_arg_infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, 0, &type));
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER));
    int axis;
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 0), type->rank, &axis));
    if (gml_infer_exceeds(cx, 1, type->dims[axis]))
        return gml_infer_fail(cx, GML_E_SHAPE, "axis %d is empty: it has no extreme", axis);
    gml_dim dims[GML_MAX_RANK];
    int rank = 0;
    for (int d = 0; d < type->rank; d++) {
        if (d != axis)
            dims[rank++] = type->dims[d];
        else if (gml_reduce_keeps(cx->node))
            dims[rank++] = 1;
    }
    return gml_infer_set(cx, 0, GML_I64, rank, dims);
}

const gml_expr *gml_arg_lower(gml_lower *x, gml_reduce_op op, const gml_expr *const *index)
{
    int rank = gml_operand_rank(x, 0);
    int64_t axis = gml_node_int(x->node, "axis", 0);
    axis = axis < 0 ? axis + rank : axis;
    bool last = gml_node_int(x->node, "select_last_index", 0) != 0;
    const gml_expr *at[GML_MAX_RANK] = {NULL};
    int next = 0;
    for (int d = 0; d < rank; d++)
        if (d != axis || gml_reduce_keeps(x->node))
            at[d] = index[next++];
    return gml_reduce_position(x, op, (int)axis, last, at);
}

/* ---- gradients ----------------------------------------------------------------------------
 */

/* Which axes are reduced, as infer_shape saw it; their number of elements together. */
static gml_dim find_reduced(const gml_grad *g, bool *out_reduced)
{
    const gml_node *node = g->node;
    const gml_type *x = &node->operands[0]->type;
    const gml_dim *elements = NULL;
    size_t count = 0;
    if (gml_has_operand(node, 1))
        elements = gml_value_elements(node->operands[1], g->scratch, &count);
    if (!mark_axes(node, x->rank, elements, count, out_reduced))
        GML_BUG("axes that infer accepted");
    gml_dim size = 1;
    for (int d = 0; d < x->rank; d++)
        if (out_reduced[d])
            size = gml_dim_mul(&node->graph->module->dims, size, x->dims[d]);
    return size;
}

/* `value`, of the shape of result 0, with the reduced axes as ones. */
static gml_value *keep_axes(gml_grad *g, gml_value *value)
{
    const gml_type *x = &g->node->operands[0]->type;
    bool reduced[GML_MAX_RANK];
    gml_dim dims[GML_MAX_RANK];
    find_reduced(g, reduced);
    for (int d = 0; d < x->rank; d++)
        dims[d] = reduced[d] ? 1 : x->dims[d];
    return gml_reduce_keeps(g->node) ? value
                                     : gml_build_reshape(&g->b, value, dims, (size_t)x->rank);
}

gml_value *gml_reduce_spread(gml_grad *g, gml_value *reduced)
{
    return gml_grad_expand_like(&g->b, keep_axes(g, reduced), g->node->operands[0]);
}

int gml_reduce_order(gml_grad *g, int64_t *out_perm)
{
    bool reduced[GML_MAX_RANK];
    int rank = g->node->operands[0]->type.rank;
    int n = 0;
    find_reduced(g, reduced);
    for (int d = 0; d < rank; d++)
        if (!reduced[d])
            out_perm[n++] = d;
    int n_kept = n;
    for (int d = 0; d < rank; d++)
        if (reduced[d])
            out_perm[n++] = d;
    return n_kept;
}

gml_value *gml_reduce_count(gml_grad *g, gml_dtype dtype)
{
    bool reduced[GML_MAX_RANK];
    gml_dim size = find_reduced(g, reduced);
    if (gml_dim_is_const(size))
        return gml_build_scalar(&g->b, dtype, (double)size);
    gml_value *count = gml_build_as_scalar(&g->b, gml_build_dims(&g->b, &size, 1));
    return gml_build_cast(&g->b, count, dtype);
}

gml_status gml_reduce_grad_extreme(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *x = g->node->operands[0];
    bool reduced[GML_MAX_RANK];
    int64_t axes[GML_MAX_RANK];
    size_t n_axes = 0;
    find_reduced(g, reduced);
    for (int d = 0; d < x->type.rank; d++)
        if (reduced[d])
            axes[n_axes++] = d;
    gml_value *y = keep_axes(g, &g->node->results[0]);
    gml_value *hits =
        gml_build_cast(b, gml_build_binary(b, &gml_op_equal, x, y), x->type.dtype);
    gml_value *dy = keep_axes(g, g->results[0]);
    if (n_axes > 0)
        dy = gml_build_div(b, dy,
                           gml_build_reduce(b, &gml_op_reducesum, hits, axes, n_axes, true));
    g->operands[0] = gml_build_mul(b, hits, dy);
    return b->status;
}
