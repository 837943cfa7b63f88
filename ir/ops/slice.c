/* ir/ops/slice.c - Slice: every `step`-th element between two ends, along some axes.
 *
 * Ends count from the back when negative and are moved into the tensor when outside, as
 * Python's slices. "To the end" is written as a very large number. */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/view.h"

typedef struct slice_plan {
    gml_dim start[GML_MAX_RANK];
    int64_t step[GML_MAX_RANK];
    gml_dim length[GML_MAX_RANK];
} slice_plan;

/* The operands: elements of starts, ends, axes and steps; NULL where absent. */
typedef struct slice_operands {
    const gml_dim *elements[5];
    size_t count[5];
} slice_operands;

/* `end` moved into low to high, both included; `high` is the size or one less. */
static gml_dim clamp_end(gml_dim_pool *pool, gml_dim end, gml_dim size, gml_dim low,
                         gml_dim high)
{
    if (gml_dim_is_const(end)) {
        if (end >= INT32_MAX)
            return high;
        if (end <= INT32_MIN)
            return low;
        if (end == 0 && low == 0)
            return 0;
        if (end < 0)
            end = gml_dim_add(pool, size, end);
    }
    return gml_dim_max(pool, low, gml_dim_min(pool, end, high));
}

static void plan_axis(gml_dim_pool *pool, gml_dim size, const slice_operands *in, size_t i,
                      slice_plan *plan, int axis)
{
    gml_dim start = in->elements[1][i];
    gml_dim end = in->elements[2][i];
    int64_t step = in->elements[4] ? in->elements[4][i] : 1;
    gml_dim last = gml_dim_sub(pool, size, 1);
    gml_dim span;
    if (step > 0) {
        start = clamp_end(pool, start, size, 0, size);
        end = clamp_end(pool, end, size, 0, size);
        span = gml_dim_sub(pool, end, start);
    } else {
        start = clamp_end(pool, start, size, -1, last);
        end = clamp_end(pool, end, size, -1, last);
        span = gml_dim_sub(pool, start, end);
    }
    plan->start[axis] = start;
    plan->step[axis] = step;
    gml_dim length = gml_dim_ceil_div(pool, span, step > 0 ? step : -step);
    plan->length[axis] = gml_dim_max(pool, 0, length);
}

/* Axes and steps have been checked. */
static void plan_slice(gml_dim_pool *pool, const gml_type *data, const slice_operands *in,
                       slice_plan *plan)
{
    for (int axis = 0; axis < data->rank; axis++) {
        plan->start[axis] = 0;
        plan->step[axis] = 1;
        plan->length[axis] = data->dims[axis];
    }
    for (size_t i = 0; i < in->count[1]; i++) {
        int64_t axis = in->elements[3] ? in->elements[3][i] : (int64_t)i;
        if (axis < 0)
            axis += data->rank;
        plan_axis(pool, data->dims[axis], in, i, plan, (int)axis);
    }
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    slice_operands in = {{NULL}, {0}};
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_elements(cx, 1, &in.elements[1], &in.count[1]));
    GML_TRY(gml_infer_elements(cx, 2, &in.elements[2], &in.count[2]));
    GML_TRY(gml_infer_ints(cx, 3, &in.elements[3], &in.count[3]));
    GML_TRY(gml_infer_ints(cx, 4, &in.elements[4], &in.count[4]));
    size_t count = in.count[1];
    for (unsigned k = 2; k < 5; k++)
        if (in.elements[k] && in.count[k] != count)
            return gml_infer_fail(cx, GML_E_SHAPE,
                                  "operand %u has %zu elements, operand 1 has %zu", k,
                                  in.count[k], count);
    unsigned set;
    if (in.elements[3])
        GML_TRY(gml_infer_axes(cx, in.elements[3], count, data->rank, &set));
    else if (count > (size_t)data->rank)
        return gml_infer_fail(cx, GML_E_SHAPE, "%zu slices of rank %d", count, data->rank);
    for (size_t i = 0; in.elements[4] && i < count; i++)
        if (in.elements[4][i] == 0)
            return gml_infer_fail(cx, GML_E_INVALID, "step %zu is 0", i);
    slice_plan plan;
    plan_slice(cx->dims, data, &in, &plan);
    return gml_infer_set(cx, 0, data->dtype, data->rank, plan.length);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    (void)result;
    slice_operands in;
    for (unsigned k = 1; k < 5; k++)
        in.elements[k] = gml_operand_elements(x, k, &in.count[k]);
    const gml_type *data = gml_operand_type(node, 0);
    slice_plan plan;
    plan_slice(x->kernel->dims, data, &in, &plan);
    const gml_expr *from[GML_MAX_RANK];
    for (int axis = 0; axis < data->rank; axis++) {
        const gml_expr *moved = gml_mul(x, index[axis], gml_i64(x, plan.step[axis]));
        from[axis] = gml_add(x, gml_size(x, plan.start[axis]), moved);
    }
    return gml_at(x, 0, from);
}

/* `g` with zeros along `axis` between its elements, which were every step-th from `start` on.
 */
static gml_value *spread(gml_build *b, gml_value *g, int axis, gml_dim size, gml_dim start,
                         int64_t step)
{
    size_t rank = (size_t)g->type.rank;
    gml_dim line[GML_MAX_RANK];
    gml_dim all[GML_MAX_RANK];
    for (size_t d = 0; d < rank; d++) {
        line[d] = d == (size_t)axis ? g->type.dims[d] : 1;
        all[d] = d == (size_t)axis ? size : g->type.dims[d];
    }
    gml_value *at =
        gml_build_mul_scalar(b, gml_build_range(b, g->type.dims[axis]), (double)step);
    at = gml_build_add(b, at, gml_build_as_scalar(b, gml_build_dims(b, &start, 1)));
    at = gml_grad_expand_like(b, gml_build_reshape(b, at, line, rank), g);
    gml_value *operands[3] = {gml_build_zeros(b, g->type.dtype, all, rank), at, g};
    gml_attr attr = gml_attr_int("axis", axis);
    return gml_build_op(b, &gml_op_scatterelements, operands, 3, &attr, 1);
}

/* Zeros around what was cut out, and between. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    const gml_node *node = g->node;
    const gml_type *data = &node->operands[0]->type;
    gml_dim_pool *pool = &node->graph->module->dims;
    slice_operands in = {{NULL}, {0}};
    for (unsigned k = 1; k < 5; k++)
        if (gml_has_operand(node, k))
            in.elements[k] = gml_value_elements(node->operands[k], &node->graph->module->arena,
                                                &in.count[k]);
    slice_plan plan;
    plan_slice(pool, data, &in, &plan);
    gml_value *dx = g->results[0];
    gml_dim pads[2 * GML_MAX_RANK] = {0};
    bool padded = false;
    for (int axis = 0; axis < data->rank; axis++) {
        gml_dim size = data->dims[axis];
        if (plan.step[axis] != 1) {
            dx = spread(b, dx, axis, size, plan.start[axis], plan.step[axis]);
            continue;
        }
        gml_dim end = gml_dim_add(pool, plan.start[axis], plan.length[axis]);
        pads[axis] = plan.start[axis];
        pads[data->rank + axis] = gml_dim_sub(pool, size, end);
        padded |= plan.length[axis] != size;
    }
    if (padded)
        dx = gml_build_pad(b, dx, pads);
    g->operands[0] = dx;
    return b->status;
}

const gml_op_info gml_op_slice = {
    .name = "Slice",
    .doc = "A part of a tensor: between two ends along each axis, in steps.",
    .min_in = 3,
    .max_in = 5,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_VIEW,
    .value_operands = 1u << 1 | 1u << 2 | 1u << 3 | 1u << 4,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
