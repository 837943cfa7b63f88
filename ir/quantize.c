/* ir/quantize.c - what the quantised operators share. */
#include "ir/quantize.h"

#include "ir/elementwise.h"

static bool has_one_element(const gml_type *type)
{
    for (int i = 0; i < type->rank; i++)
        if (type->dims[i] != 1)
            return false;
    return true;
}

/* A vector of one element would be a scale for all. */
static bool has_other_size(gml_infer *cx, gml_dim size, gml_dim wanted, bool is_vector)
{
    gml_dim same;
    if (!is_vector || wanted == 1)
        return gml_infer_differ(cx, size, wanted);
    return !gml_infer_broadcast_dim(cx, size, wanted, &same);
}

gml_status gml_infer_scale(gml_infer *cx, unsigned k)
{
    if (!gml_has_operand(cx->node, k))
        return GML_OK;
    const gml_type *data;
    const gml_type *scale;
    int axis;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_tensor(cx, k, &scale));
    if (has_one_element(scale))
        return GML_OK;
    GML_TRY(gml_infer_axis(cx, gml_node_int(cx->node, "axis", 1), data->rank, &axis));
    int64_t block = gml_node_int(cx->node, "block_size", 0);
    if (block < 0 || !gml_dim_is_const(block))
        return gml_infer_fail(cx, GML_E_INVALID, "block_size is %lld", (long long)block);
    if (scale->rank != (block ? data->rank : 1))
        return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has rank %d, not %d", k, scale->rank,
                              block ? data->rank : 1);
    for (int i = 0; i < data->rank; i++) {
        if (!block && i != axis)
            continue;
        gml_dim wanted = data->dims[i];
        if (block && i == axis)
            wanted = gml_dim_ceil_div(cx->dims, wanted, block);
        if (has_other_size(cx, scale->dims[block ? i : 0], wanted, block == 0))
            return gml_infer_fail(cx, GML_E_SHAPE,
                                  "operand %u has %lld elements for axis %d, not %lld", k,
                                  (long long)scale->dims[block ? i : 0], i, (long long)wanted);
    }
    return GML_OK;
}

const gml_expr *gml_at_scale(gml_lower *x, unsigned k, const gml_expr *const *index)
{
    const gml_type *scale = gml_operand_type(x->node, k);
    if (has_one_element(scale))
        return gml_at_scalar(x, k);
    int rank = gml_operand_rank(x, 0);
    int64_t axis = gml_node_int(x->node, "axis", 1);
    if (axis < 0)
        axis += rank;
    int64_t block = gml_node_int(x->node, "block_size", 0);
    if (!block)
        return gml_at(x, k, &index[axis]);
    const gml_expr *from[GML_MAX_RANK];
    for (int i = 0; i < rank; i++)
        from[i] = i == axis ? gml_floordiv(x, index[i], gml_i64(x, block)) : index[i];
    return gml_at(x, k, from);
}

/* A node of `op` over values that exist for the length of the call only. */
gml_status gml_infer_as(gml_infer *cx, const gml_op_info *op, unsigned a, unsigned b,
                        gml_type *out_type)
{
    gml_value values[2] = {*cx->node->operands[a], *cx->node->operands[b]};
    gml_value *operands[2] = {&values[0], &values[1]};
    for (int i = 0; i < 2; i++) {
        values[i].type.dtype = GML_I32;
        values[i].constant = NULL;
        values[i].elements = NULL;
    }
    gml_value result = cx->node->results[0];
    gml_node node = *cx->node;
    node.op = op;
    node.operands = operands;
    node.n_operands = 2;
    node.results = &result;
    node.n_results = 1;
    gml_infer as = *cx;
    as.node = &node;
    GML_TRY(op->infer(&as));
    cx->node->assumptions = node.assumptions;
    *out_type = result.type;
    return GML_OK;
}

gml_value *gml_build_channel_vector(gml_build *b, gml_value *vector, int trailing)
{
    int64_t axes[GML_MAX_RANK];
    if (vector->type.rank != 1 || vector->type.dims[0] == 1)
        return vector;
    for (int i = 0; i < trailing; i++)
        axes[i] = i + 1;
    return gml_build_unsqueeze(b, vector, axes, (size_t)trailing);
}

gml_value *gml_build_centered(gml_build *b, gml_value *x, gml_value *zero, gml_dtype dtype)
{
    gml_value *wide = gml_build_cast(b, x, dtype);
    return zero ? gml_build_binary(b, &gml_op_sub, wide, gml_build_cast(b, zero, dtype)) : wide;
}

gml_value *gml_build_requantize(gml_build *b, gml_value *x, gml_value *scale, gml_value *zero)
{
    gml_dtype dtype = zero->type.dtype;
    gml_value *scaled = gml_build_binary(b, &gml_op_mul, x, scale);
    if (gml_dtype_is_float(dtype)) {
        gml_value *moved =
            gml_build_binary(b, &gml_op_add, scaled, gml_build_cast(b, zero, GML_F32));
        return gml_build_cast(b, moved, dtype);
    }
    unsigned bits = gml_dtype_bits(dtype);
    bool is_signed = gml_dtype_get_class(dtype) == GML_CLASS_SIGNED;
    double span = (double)(UINT64_C(1) << bits);
    double low = is_signed ? -span / 2 : 0;
    gml_value *rounded = gml_build_unary(b, &gml_op_round, scaled);
    gml_value *moved =
        gml_build_binary(b, &gml_op_add, rounded, gml_build_cast(b, zero, GML_F32));
    gml_value *limits[] = {moved, gml_build_scalar(b, GML_F32, low),
                           gml_build_scalar(b, GML_F32, low + span - 1)};
    return gml_build_cast(b, gml_build_op(b, &gml_op_clip, limits, 3, NULL, 0), dtype);
}
