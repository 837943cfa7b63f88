/* ir/ops/dequantizelinear.c - DequantizeLinear: (x - zero point) scale, computed in f32. */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/quantize.h"

static const gml_attr_spec attrs[] = {
    {"axis", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"block_size", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"output_dtype", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER));
    GML_TRY(gml_infer_require(cx, 1, GML_IS_FLOAT));
    GML_TRY(gml_infer_require(cx, 2, GML_IS_NUMBER));
    for (unsigned k = 1; k < 3; k++)
        GML_TRY(gml_infer_scale(cx, k));
    gml_type type = *gml_operand_type(cx->node, 0);
    if (gml_has_operand(cx->node, 2) && gml_operand_type(cx->node, 2)->dtype != type.dtype)
        return gml_infer_fail(cx, GML_E_TYPE, "the zero point is not of type %s",
                              gml_dtype_name(type.dtype));
    type.dtype = gml_operand_type(cx->node, 1)->dtype;
    if (gml_dtype_bits(type.dtype) <= 8) /* a scale that is a power of two */
        type.dtype = GML_F32;
    int64_t wanted = gml_node_int(cx->node, "output_dtype", 0);
    if (wanted) {
        if (wanted < 0 || wanted >= GML_DTYPE_COUNT || !gml_dtype_is_float((gml_dtype)wanted))
            return gml_infer_fail(cx, GML_E_TYPE, "output_dtype is %lld, which is no float",
                                  (long long)wanted);
        type.dtype = (gml_dtype)wanted;
    }
    return gml_infer_set_type(cx, 0, type);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_expr *value = gml_cast(x, gml_at(x, 0, index), GML_F32);
    if (gml_has_operand(node, 2))
        value = gml_sub(x, value, gml_cast(x, gml_at_scale(x, 2, index), GML_F32));
    const gml_expr *scale = gml_cast(x, gml_at_scale(x, 1, index), GML_F32);
    return gml_cast(x, gml_mul(x, value, scale), gml_result_dtype(x, result));
}

/* `x`, of the operand's shape, summed over all elements that have one scale. */
static gml_value *sum_to_scale(gml_grad *g, gml_value *x)
{
    gml_build *b = &g->b;
    gml_dim_pool *pool = &g->node->graph->module->dims;
    gml_value *scale = g->node->operands[1];
    int rank = x->type.rank;
    int64_t axis = gml_node_int(g->node, "axis", 1);
    int64_t block = gml_node_int(g->node, "block_size", 0);
    int64_t axes[GML_MAX_RANK];
    size_t n = 0;
    axis += axis < 0 ? rank : 0;
    if (gml_type_numel(pool, &scale->type) == 1) {
        x = gml_build_reduce(b, &gml_op_reducesum, x, NULL, 0, false);
    } else if (block) {
        gml_dim split[GML_MAX_RANK + 1];
        gml_dim blocks = scale->type.dims[axis];
        x = gml_build_resized(b, x, (int)axis, gml_dim_mul(pool, blocks, block));
        for (int d = 0; d <= rank; d++)
            split[d] = d == axis       ? blocks
                       : d == axis + 1 ? block
                                       : x->type.dims[d > axis ? d - 1 : d];
        axes[n++] = axis + 1;
        x = gml_build_reshape(b, x, split, (size_t)rank + 1);
        x = gml_build_reduce(b, &gml_op_reducesum, x, axes, n, false);
    } else {
        for (int d = 0; d < rank; d++)
            if (d != axis)
                axes[n++] = d;
        if (n > 0)
            x = gml_build_reduce(b, &gml_op_reducesum, x, axes, n, false);
    }
    return gml_grad_reshape_like(b, x, scale);
}

/* That of the scale is what it multiplies: the result of a scale of 1. That of x, where it is
 * of small floats, is the scale: the result of ones. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_node *node = g->node;
    gml_value *scale = node->operands[1];
    if ((node->n_operands > 2 && g->wanted[2]) || node->operands[0]->type.rank == GML_MAX_RANK)
        return gml_fail(b->diags, GML_E_UNSUPPORTED, node->loc,
                        "no gradient by the zero point, or of tensors of rank %d",
                        GML_MAX_RANK);
    gml_value *operands[3] = {node->operands[0], NULL,
                              node->n_operands > 2 ? node->operands[2] : NULL};
    if (g->wanted[1]) {
        gml_value *zeros = gml_grad_zeros_like(b, scale);
        operands[1] = gml_build_add_scalar(b, zeros, 1);
        gml_value *steps = gml_build_op(b, &gml_op_dequantizelinear, operands,
                                        operands[2] ? 3 : 2, node->attrs, node->n_attrs);
        g->operands[1] = sum_to_scale(g, gml_build_mul(b, g->results[0], steps));
    }
    if (g->wanted[0]) {
        gml_value *one =
            gml_build_cast(b, gml_build_scalar(b, GML_F32, 1), node->operands[0]->type.dtype);
        operands[0] = gml_grad_expand_like(b, one, node->operands[0]);
        operands[1] = scale;
        gml_value *spread =
            gml_build_op(b, &gml_op_dequantizelinear, operands, 2, node->attrs, node->n_attrs);
        g->operands[0] = gml_build_mul(b, g->results[0], spread);
    }
    return b->status;
}

const gml_op_info gml_op_dequantizelinear = {
    .name = "DequantizeLinear",
    .doc = "The numbers that quantised ones stand for.",
    .min_in = 2,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
