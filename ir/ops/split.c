/* ir/ops/split.c - Split. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"num_outputs", GML_ATTR_INT, GML_ATTR_OPTIONAL},
    {NULL},
};

/* The sizes of the parts, from the operand or equal but for the last. */
static gml_status infer_sizes(gml_infer *cx, gml_dim whole, const gml_dim **out_sizes)
{
    uint32_t n = cx->node->n_results;
    if (gml_has_operand(cx->node, 1)) {
        size_t count;
        GML_TRY(gml_infer_elements(cx, 1, out_sizes, &count));
        if (count != n)
            return gml_infer_fail(cx, GML_E_SHAPE, "%zu sizes for %u results", count, n);
        return GML_OK;
    }
    int64_t wanted = gml_node_int(cx->node, "num_outputs", n);
    if (wanted != n)
        return gml_infer_fail(cx, GML_E_INVALID, "num_outputs is %lld for %u results",
                              (long long)wanted, n);
    gml_dim *sizes = gml_new_array(cx->arena, gml_dim, n);
    gml_dim part = gml_dim_ceil_div(cx->dims, whole, n);
    for (uint32_t i = 0; i + 1 < n; i++)
        sizes[i] = part;
    sizes[n - 1] = gml_dim_sub(cx->dims, whole, gml_dim_mul(cx->dims, part, n - 1));
    *out_sizes = sizes;
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    int axis;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 0), data->rank, &axis));
    const gml_dim *sizes;
    GML_TRY(infer_sizes(cx, data->dims[axis], &sizes));
    gml_dim total = 0;
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i < data->rank; i++)
        dims[i] = data->dims[i];
    for (uint32_t i = 0; i < cx->node->n_results; i++) {
        dims[axis] = sizes[i];
        total = gml_dim_add(cx->dims, total, sizes[i]);
        GML_TRY(gml_infer_set(cx, i, data->dtype, data->rank, dims));
    }
    if (gml_infer_differ(cx, total, data->dims[axis]))
        return gml_infer_fail(cx, GML_E_SHAPE,
                              "the parts have %lld elements along axis %d of %lld",
                              (long long)total, axis, (long long)data->dims[axis]);
    return GML_OK;
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    int rank = gml_operand_rank(x, 0);
    int64_t axis = gml_node_int(node, "axis", 0);
    if (axis < 0)
        axis += rank;
    gml_dim offset = 0;
    for (unsigned i = 0; i < result; i++)
        offset = gml_dim_add(x->kernel->dims, offset, node->results[i].type.dims[axis]);
    const gml_expr *from[GML_MAX_RANK];
    gml_copy_index(index, rank, from);
    from[axis] = gml_add(x, gml_size(x, offset), index[axis]);
    return gml_at(x, 0, from);
}

static gml_status grad(gml_grad *g)
{
    const gml_node *node = g->node;
    gml_value **parts = gml_new_array(g->scratch, gml_value *, node->n_results + 1);
    for (uint32_t r = 0; r < node->n_results; r++) {
        const gml_type *type = &node->results[r].type;
        parts[r] = g->results[r]
                       ? g->results[r]
                       : gml_build_zeros(&g->b, type->dtype, type->dims, (size_t)type->rank);
    }
    g->operands[0] =
        gml_build_concat(&g->b, parts, node->n_results, gml_node_int(node, "axis", 0));
    return g->b.status;
}

const gml_op_info gml_op_split = {
    .name = "Split",
    .doc = "A tensor in parts along one axis.",
    .min_in = 1,
    .max_in = 2,
    .min_out = 1,
    .max_out = -1,
    .traits = GML_VIEW,
    .value_operands = 1u << 1,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
