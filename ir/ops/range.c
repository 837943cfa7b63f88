/* ir/ops/range.c - Range: start + i delta, for i from 0 to before ceil((limit - start) /
 * delta).
 *
 * Small floats are computed in the type that stash_type names: adding in f16 would stop where
 * the step is lost. */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"

#include <math.h>

static const gml_attr_spec attrs[] = {
    {"stash_type", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status infer_float_count(gml_infer *cx, gml_dim *out_count)
{
    double value[3];
    for (unsigned k = 0; k < 3; k++) {
        const double *elements;
        size_t count;
        GML_TRY(gml_infer_floats(cx, k, &elements, &count));
        if (count != 1)
            return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has %zu elements, not one", k,
                                  count);
        value[k] = elements[0];
    }
    double count = ceil((value[1] - value[0]) / value[2]);
    if (!(count < (double)GML_DIM_LIMIT))
        return gml_infer_fail(cx, GML_E_RANGE, "from %g to %g in steps of %g has no end",
                              value[0], value[1], value[2]);
    *out_count = count > 0 ? (gml_dim)count : 0;
    return GML_OK;
}

static gml_status infer_count(gml_infer *cx, gml_dim *out_count)
{
    gml_dim value[3];
    for (unsigned k = 0; k < 3; k++) {
        const gml_dim *elements;
        size_t count;
        GML_TRY(gml_infer_elements(cx, k, &elements, &count));
        if (count != 1)
            return gml_infer_fail(cx, GML_E_SHAPE, "operand %u has %zu elements, not one", k,
                                  count);
        value[k] = elements[0];
    }
    if (!gml_dim_is_const(value[2]) || value[2] == 0)
        return gml_infer_fail(cx, GML_E_RANGE, "the step is 0 or symbolic");
    gml_dim span = value[2] > 0 ? gml_dim_sub(cx->dims, value[1], value[0])
                                : gml_dim_sub(cx->dims, value[0], value[1]);
    gml_dim step = value[2] > 0 ? value[2] : -value[2];
    *out_count = gml_dim_max(cx->dims, 0, gml_dim_ceil_div(cx->dims, span, step));
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    gml_dim count;
    gml_dtype dtype = gml_operand_type(cx->node, 0)->dtype;
    for (unsigned k = 0; k < 3; k++) {
        GML_TRY(gml_infer_require(cx, k, GML_IS_NUMBER));
        if (gml_operand_type(cx->node, k)->dtype != dtype)
            return gml_infer_fail(cx, GML_E_TYPE, "operand %u is not of type %s", k,
                                  gml_dtype_name(dtype));
    }
    int64_t stash = gml_node_int(cx->node, "stash_type", GML_F32);
    if (stash != GML_F32 && stash != GML_F64)
        return gml_infer_fail(cx, GML_E_TYPE, "stash_type is neither f32 nor f64");
    if (gml_dtype_is_float(dtype))
        GML_TRY(infer_float_count(cx, &count));
    else
        GML_TRY(infer_count(cx, &count));
    return gml_infer_set(cx, 0, dtype, 1, &count);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    gml_dtype dtype = gml_result_dtype(x, result);
    gml_dtype wide = gml_accumulator(dtype);
    if (wide != dtype)
        wide = (gml_dtype)gml_node_int(node, "stash_type", GML_F32);
    const gml_expr *start = gml_cast(x, gml_at_scalar(x, 0), wide);
    const gml_expr *delta = gml_cast(x, gml_at_scalar(x, 2), wide);
    const gml_expr *moved = gml_mul(x, gml_cast(x, index[0], wide), delta);
    return gml_cast(x, gml_add(x, start, moved), dtype);
}

/* Element i is start + i delta. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_value *dy = g->results[0];
    gml_value *place = gml_build_range(b, dy->type.dims[0]);
    gml_value *weighed = gml_build_mul(b, dy, gml_build_cast(b, place, dy->type.dtype));
    for (unsigned k = 0; k < 3; k += 2) {
        gml_value *sum =
            gml_build_reduce(b, &gml_op_reducesum, k == 0 ? dy : weighed, NULL, 0, false);
        if (g->wanted[k])
            g->operands[k] = gml_grad_reshape_like(b, sum, g->node->operands[k]);
    }
    return b->status;
}

const gml_op_info gml_op_range = {
    .name = "Range",
    .doc = "The numbers from one to before another, in steps.",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .value_operands = 1u << 0 | 1u << 1 | 1u << 2,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
