/* ir/ops/concat.c - Concat. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_REQUIRED},
    {NULL},
};

/* Joins operand `k` to the sizes so far. */
static gml_status join(gml_infer *cx, unsigned k, int axis, gml_dim *dims)
{
    const gml_type *first = gml_operand_type(cx->node, 0);
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, k, &type));
    if (type->dtype != first->dtype)
        return gml_infer_fail(cx, GML_E_TYPE,
                              "operand %u has elements of type %s, operand 0 of %s", k,
                              gml_dtype_name(type->dtype), gml_dtype_name(first->dtype));
    if (type->rank != first->rank)
        return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has rank %d, operand 0 has %d", k,
                              type->rank, first->rank);
    for (int i = 0; i < type->rank; i++) {
        if (i == axis) {
            dims[i] = gml_dim_add(cx->dims, dims[i], type->dims[i]);
        } else if (gml_infer_differ(cx, dims[i], type->dims[i])) {
            return gml_infer_fail(cx, GML_E_SHAPE,
                                  "operand %u has size %lld along axis %d, not %lld", k,
                                  (long long)type->dims[i], i, (long long)dims[i]);
        } else if (!gml_dim_is_const(dims[i]) && gml_dim_is_const(type->dims[i])) {
            dims[i] = type->dims[i];
        }
    }
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *first;
    int axis;
    GML_TRY(gml_infer_tensor(cx, 0, &first));
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 0), first->rank, &axis));
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i < first->rank; i++)
        dims[i] = first->dims[i];
    for (uint32_t k = 1; k < cx->node->n_operands; k++)
        GML_TRY(join(cx, k, axis, dims));
    return gml_infer_set(cx, 0, first->dtype, first->rank, dims);
}

/* From the last operand to the first: each takes over below its end, and its loads are guarded,
 * since the position may be another operand's. */
static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    int rank = gml_operand_rank(x, 0);
    int64_t axis = gml_node_int(node, "axis", 0);
    if (axis < 0)
        axis += rank;
    gml_dim *begin = gml_new_array(x->kernel->arena, gml_dim, node->n_operands);
    for (uint32_t k = 1; k < node->n_operands; k++)
        begin[k] =
            gml_dim_add(x->kernel->dims, begin[k - 1], gml_operand_dim(x, k - 1, (int)axis));
    const gml_expr *from[GML_MAX_RANK];
    gml_copy_index(index, rank, from);
    const gml_expr *element = gml_const(x, gml_operand_dtype(x, 0), 0.0);
    for (uint32_t k = node->n_operands; k-- > 0;) {
        gml_dim size = gml_operand_dim(x, k, (int)axis);
        if (size == 0)
            continue;
        from[axis] = gml_sub(x, index[axis], gml_size(x, begin[k]));
        element = gml_at_if(x, k, from, gml_in_range(x, from[axis], size), element);
    }
    return element;
}

/* Each operand's part, cut out. */
static gml_status grad(gml_grad *g)
{
    const gml_node *node = g->node;
    int64_t axis = gml_node_int(node, "axis", 0);
    axis += axis < 0 ? node->results[0].type.rank : 0;
    gml_dim_pool *dims = &node->graph->module->dims;
    gml_dim begin = 0;
    for (uint32_t k = 0; k < node->n_operands; k++) {
        gml_dim end = gml_dim_add(dims, begin, node->operands[k]->type.dims[axis]);
        if (g->wanted[k])
            g->operands[k] = gml_build_part(&g->b, g->results[0], axis, begin, end);
        begin = end;
    }
    return g->b.status;
}

const gml_op_info gml_op_concat = {
    .name = "Concat",
    .doc = "Tensors one after another along one axis.",
    .min_in = 1,
    .max_in = -1,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
