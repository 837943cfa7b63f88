/* ir/ops/stft.c - STFT: Fourier transforms of overlapping frames of a signal.
 *
 * signal (B, L, 1 or 2), or (B, L); frame f begins at f * frame_step and has frame_length
 * elements, by default as many as the window, or the whole signal. y (B, frames, bins, 2) holds
 * the transform of frame times window; bins are frame_length, or with `onesided` frame_length /
 * 2 + 1.
 */
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/expect_util.h"
#include "ir/ops/fourier_util.h"

enum { GML_SIGNAL, GML_STEP, GML_WINDOW, GML_LENGTH };

static const gml_attr_spec attrs[] = {
    {"onesided", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {NULL},
};

static gml_status frame_length(gml_infer *cx, gml_dim signal, gml_dim *out_length)
{
    *out_length = signal;
    if (gml_has_operand(cx->node, GML_WINDOW)) {
        const gml_type *window;
        GML_TRY(gml_infer_tensor(cx, GML_WINDOW, &window));
        GML_TRY(gml_expect_rank(cx, GML_WINDOW, 1));
        *out_length = window->dims[0];
    }
    if (gml_has_operand(cx->node, GML_LENGTH))
        GML_TRY(gml_expect_size(cx, GML_LENGTH, out_length));
    return gml_expect_vector(cx, GML_WINDOW, *out_length);
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *type;
    GML_TRY(gml_infer_tensor(cx, GML_SIGNAL, &type));
    GML_TRY(gml_infer_require(cx, GML_SIGNAL, GML_IS_FLOAT));
    GML_TRY(gml_expect_dtype(cx, GML_WINDOW, type->dtype));
    if (type->rank != 2 && type->rank != 3)
        return gml_infer_fail(cx, GML_E_SHAPE, "the signal has rank %d, neither 2 nor 3",
                              type->rank);
    gml_dim parts = type->rank == 3 ? type->dims[2] : 1;
    if (!gml_dim_is_const(parts) || (parts != 1 && parts != 2))
        return gml_infer_fail(cx, GML_E_SHAPE, "the last dimension is neither 1 nor 2");
    gml_dim step;
    gml_dim length;
    GML_TRY(gml_expect_size(cx, GML_STEP, &step));
    GML_TRY(frame_length(cx, type->dims[1], &length));
    if (!gml_dim_is_const(step) || step < 1)
        return gml_infer_fail(cx, GML_E_RANGE, "frame_step is not positive");
    if (gml_infer_exceeds(cx, 1, length) || gml_infer_exceeds(cx, length, type->dims[1]))
        return gml_infer_fail(cx, GML_E_RANGE, "a frame of %lld elements", (long long)length);
    gml_dim frames = gml_dim_div(cx->dims, gml_dim_sub(cx->dims, type->dims[1], length), step);
    gml_dim bins = length;
    if (gml_node_int(cx->node, "onesided", 1))
        bins = gml_dim_add(cx->dims, gml_dim_div(cx->dims, length, 2), 1);
    gml_dim dims[] = {type->dims[0], gml_dim_add(cx->dims, frames, 1), bins, 2};
    return gml_infer_set(cx, 0, type->dtype, 4, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    size_t count;
    gml_dim length = gml_operand_dim(x, GML_SIGNAL, 1);
    if (gml_has_operand(node, GML_WINDOW))
        length = gml_operand_dim(x, GML_WINDOW, 0);
    if (gml_has_operand(node, GML_LENGTH))
        length = gml_operand_elements(x, GML_LENGTH, &count)[0];
    gml_dim step = gml_operand_elements(x, GML_STEP, &count)[0];
    const gml_axis *axis = gml_reduce_axis(x, length);
    const gml_expr *n = gml_axis_value(x, axis);
    const gml_expr *start = gml_mul(x, index[1], gml_size(x, step));
    const gml_expr *at[3] = {index[0], gml_add(x, start, n), NULL};
    bool has_parts = gml_operand_rank(x, GML_SIGNAL) == 3;
    gml_dim n_parts = has_parts ? gml_operand_dim(x, GML_SIGNAL, 2) : 1;
    const gml_expr *parts[2] = {NULL, NULL}; /* real, imaginary */
    for (int part = 0; part < n_parts; part++) {
        at[2] = gml_i64(x, part);
        parts[part] = gml_wide(x, gml_at(x, GML_SIGNAL, at));
        if (gml_has_operand(node, GML_WINDOW))
            parts[part] = gml_mul(x, parts[part], gml_wide(x, gml_at(x, GML_WINDOW, &n)));
    }
    gml_complex term = gml_complex_rotate(x, (gml_complex){parts[0], parts[1]},
                                          gml_mul(x, n, index[2]), length, -1);
    const gml_expr *sum =
        gml_reduce(x, GML_REDUCE_SUM, axis, gml_complex_part(x, term, index[3]));
    return gml_cast(x, sum, gml_result_dtype(x, result));
}

/* Frames are gathered, multiplied by the window, and transformed. */
static gml_value *formula(gml_grad *g, gml_value *const *operands)
{
    gml_build *b = &g->b;
    gml_arena *arena = &g->node->graph->module->arena;
    gml_value *signal = operands[GML_SIGNAL];
    const gml_dim *sizes = g->node->results[0].type.dims;
    int64_t last = 2;
    size_t count;
    gml_dim length = signal->type.dims[1];
    if (gml_has_operand(g->node, GML_WINDOW))
        length = operands[GML_WINDOW]->type.dims[0];
    if (gml_has_operand(g->node, GML_LENGTH))
        length = gml_value_elements(operands[GML_LENGTH], arena, &count)[0];
    gml_dim step = gml_value_elements(operands[GML_STEP], arena, &count)[0];
    if (signal->type.rank == 2)
        signal = gml_build_unsqueeze(b, signal, &last, 1);
    gml_value *starts = gml_build_range(b, sizes[1]);
    starts = gml_build_mul(b, starts, gml_build_size(b, GML_I64, step));
    starts = gml_build_reshape(b, starts, (const gml_dim[]){sizes[1], 1}, 2);
    gml_value *parts[2] = {signal, gml_build_add(b, starts, gml_build_range(b, length))};
    gml_attr axis = gml_attr_int("axis", 1);
    gml_value *frames = gml_build_op(b, &gml_op_gather, parts, 2, &axis, 1);
    if (gml_has_operand(g->node, GML_WINDOW))
        frames = gml_build_mul(
            b, frames,
            gml_build_reshape(b, operands[GML_WINDOW], (const gml_dim[]){length, 1}, 2));
    gml_value *transformed[3] = {frames, NULL, gml_build_scalar(b, GML_I64, 2)};
    gml_attr onesided = gml_attr_int("onesided", gml_node_int(g->node, "onesided", 1));
    return gml_build_op(b, &gml_op_dft, transformed, 3, &onesided, 1);
}

static gml_status grad(gml_grad *g)
{
    return gml_grad_by_formula(g, formula);
}

const gml_op_info gml_op_stft = {
    .name = "STFT",
    .doc = "Fourier transforms of overlapping frames of a signal.",
    .min_in = 2,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .value_operands = 1U << GML_STEP | 1U << GML_LENGTH,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
