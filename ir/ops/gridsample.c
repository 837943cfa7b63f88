/* ir/ops/gridsample.c - GridSample: the operand interpolated at positions that a grid gives.
 *
 * A normalised position v in -1 to 1 is, along an axis of size d,
 *   (v + 1) / 2 (d - 1)        with align_corners: the ends are the outer elements' centres
 *   ((v + 1) d - 1) / 2        else: the ends are their outer borders
 * A position beyond the border is kept (zeros), moved to the nearest element (border), or
 * mirrored at the border until it is inside (reflection); then the same is done for each tap.
 * The grid lists coordinates from the last axis to the first. */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/sample_grad_util.h"
#include "ir/sample.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"align_corners", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "linear"},
    {"padding_mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "zeros"},
    {NULL},
};

static bool is_one_of(const gml_node *node, const char *name, const char *const *texts)
{
    for (; *texts; texts++)
        if (gml_node_string_is(node, name, *texts))
            return true;
    return false;
}

static gml_status infer(gml_infer *cx)
{
    static const char *const modes[] = {"linear", "nearest", "cubic", NULL};
    static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
    const gml_type *data;
    const gml_type *grid;
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER | GML_IS_BOOL));
    GML_TRY(gml_infer_require(cx, 1, GML_IS_FLOAT));
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_tensor(cx, 1, &grid));
    if (!is_one_of(cx->node, "mode", modes))
        return gml_infer_fail(cx, GML_E_INVALID, "unknown mode");
    if (!is_one_of(cx->node, "padding_mode", paddings))
        return gml_infer_fail(cx, GML_E_INVALID, "unknown padding_mode");
    if (!gml_node_string_is(cx->node, "mode", "nearest"))
        GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER));
    if (data->rank < 3 || grid->rank != data->rank)
        return gml_infer_fail(cx, GML_E_SHAPE, "the data has rank %d, the grid %d", data->rank,
                              grid->rank);
    gml_dim length = grid->dims[grid->rank - 1];
    if (gml_infer_differ(cx, length, data->rank - 2))
        return gml_infer_fail(cx, GML_E_SHAPE, "positions have %lld coordinates for %d axes",
                              (long long)length, data->rank - 2);
    if (gml_infer_differ(cx, data->dims[0], grid->dims[0]))
        return gml_infer_fail(cx, GML_E_SHAPE, "a batch of %lld, but %lld grids",
                              (long long)data->dims[0], (long long)grid->dims[0]);
    gml_dim dims[GML_MAX_RANK] = {data->dims[0], data->dims[1]};
    for (int i = 2; i < data->rank; i++) {
        dims[i] = grid->dims[i - 1];
        if (gml_infer_exceeds(cx, 1, data->dims[i]))
            return gml_infer_fail(cx, GML_E_SHAPE, "axis %d has no element to sample", i);
    }
    return gml_infer_set(cx, 0, data->dtype, data->rank, dims);
}

typedef struct grid_sample {
    const gml_node *node;
    const gml_expr *const *index;           /* of the result */
    const gml_expr *position[GML_MAX_RANK]; /* along each sampled axis */
    int n;                                  /* sampled axes */
    int first;                              /* tap 0 is at floor(position) + first */
    bool cubic;
} grid_sample;

/* The border of an axis: 0 and d - 1, or half an element more. */
static void find_border(gml_lower *x, const gml_node *node, const gml_expr *like, gml_dim size,
                        const gml_expr *out_border[2])
{
    double margin = gml_node_int(node, "align_corners", 0) ? 0.0 : 0.5;
    const gml_expr *d = gml_cast(x, gml_size(x, size), like->dtype);
    out_border[0] = gml_like(x, like, -margin);
    out_border[1] = gml_sub(x, d, gml_like(x, like, 1.0 - margin));
}

/* Mirrored at the border that is passed, as often as needed: an even number of whole spans
 * beyond it leads back from that border, an odd number from the other. */
static const gml_expr *reflect(gml_lower *x, const gml_expr *v, const gml_expr *const border[2])
{
    const gml_expr *low = gml_lt(x, v, border[0]);
    const gml_expr *high = gml_lt(x, border[1], v);
    const gml_expr *span = gml_sub(x, border[1], border[0]);
    const gml_expr *beyond =
        gml_select(x, low, gml_sub(x, border[0], v), gml_sub(x, v, border[1]));
    const gml_expr *turns = gml_unary(x, GML_X_FLOOR, gml_div(x, beyond, span));
    const gml_expr *rest = gml_sub(x, beyond, gml_mul(x, turns, span));
    const gml_expr *half = gml_mul(x, turns, gml_like(x, v, 0.5));
    const gml_expr *even = gml_eq(x, half, gml_unary(x, GML_X_FLOOR, half));
    const gml_expr *up = gml_add(x, border[0], rest);
    const gml_expr *down = gml_sub(x, border[1], rest);
    const gml_expr *from_low = gml_select(x, even, up, down);
    const gml_expr *from_high = gml_select(x, even, down, up);
    return gml_select(x, low, from_low, gml_select(x, high, from_high, v));
}

/* The position along sampled axis `i` in elements, moved inside where the padding says so. */
static const gml_expr *find_position(gml_lower *x, const grid_sample *s, int i)
{
    const gml_expr *at[GML_MAX_RANK];
    at[0] = s->index[0];
    gml_copy_index(s->index + 2, s->n, at + 1);
    at[s->n + 1] = gml_i64(x, s->n - 1 - i);
    const gml_expr *v = gml_wide(x, gml_at(x, 1, at));
    gml_dim size = gml_operand_dim(x, 0, i + 2);
    const gml_expr *d = gml_cast(x, gml_size(x, size), v->dtype);
    const gml_expr *one = gml_like(x, v, 1.0);
    const gml_expr *half = gml_like(x, v, 0.5);
    v = gml_add(x, v, one);
    if (gml_node_int(s->node, "align_corners", 0))
        v = gml_mul(x, gml_mul(x, v, half), gml_sub(x, d, one));
    else
        v = gml_mul(x, gml_sub(x, gml_mul(x, v, d), one), half);
    if (gml_node_string_is(s->node, "mode", "nearest"))
        v = gml_unary(x, GML_X_ROUND, v);
    const gml_expr *border[2];
    find_border(x, s->node, v, size, border);
    if (gml_node_string_is(s->node, "padding_mode", "reflection"))
        return reflect(x, v, border);
    if (!gml_node_string_is(s->node, "padding_mode", "border"))
        return v;
    const gml_expr *zero = gml_like(x, v, 0.0);
    const gml_expr *moved = gml_max(x, zero, gml_min(x, v, gml_sub(x, d, one)));
    const gml_expr *outside = gml_or(x, gml_lt(x, v, border[0]), gml_lt(x, border[1], v));
    return gml_select(x, outside, moved, v);
}

/* The element at whole `positions`, as the type to interpolate in. */
static const gml_expr *element_at(gml_lower *x, const grid_sample *s,
                                  const gml_expr *const *positions)
{
    bool zeros = gml_node_string_is(s->node, "padding_mode", "zeros");
    bool reflects = gml_node_string_is(s->node, "padding_mode", "reflection");
    const gml_expr *inside = NULL;
    const gml_expr *from[GML_MAX_RANK] = {s->index[0], s->index[1]};
    for (int i = 0; i < s->n; i++) {
        gml_dim size = gml_operand_dim(x, 0, i + 2);
        const gml_expr *v = positions[i];
        if (reflects) {
            const gml_expr *border[2];
            find_border(x, s->node, v, size, border);
            v = reflect(x, v, border);
        }
        from[i + 2] = gml_position(x, v);
        if (zeros) {
            const gml_expr *here = gml_in_range(x, from[i + 2], size);
            inside = inside ? gml_and(x, inside, here) : here;
        } else {
            from[i + 2] = gml_clamp_index(x, from[i + 2], size);
        }
    }
    if (!zeros)
        return gml_at(x, 0, from);
    return gml_at_if(x, 0, from, inside, gml_const(x, gml_operand_dtype(x, 0), 0.0));
}

static const gml_expr *tap_term(gml_lower *x, const void *context, const gml_expr *const *taps)
{
    const grid_sample *s = context;
    gml_dtype wide = gml_sample_dtype(gml_operand_dtype(x, 0));
    const gml_expr *at[GML_MAX_RANK];
    const gml_expr *weight = NULL;
    for (int i = 0; i < s->n; i++) {
        const gml_expr *v = s->position[i];
        const gml_expr *tap = gml_add(x, taps[i], gml_i64(x, s->first));
        at[i] = gml_add(x, gml_unary(x, GML_X_FLOOR, v), gml_cast(x, tap, v->dtype));
        const gml_expr *distance = gml_sub(x, at[i], v);
        const gml_expr *w =
            s->cubic ? gml_cubic_kernel(x, distance, -0.75) : gml_linear_kernel(x, distance);
        weight = weight ? gml_mul(x, weight, w) : w;
    }
    return gml_mul(x, gml_cast(x, weight, wide), gml_cast(x, element_at(x, s, at), wide));
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    grid_sample s = {.node = node, .index = index, .n = gml_operand_rank(x, 0) - 2};
    s.cubic = gml_node_string_is(node, "mode", "cubic");
    s.first = s.cubic ? -1 : 0;
    int64_t counts[GML_MAX_RANK];
    for (int i = 0; i < s.n; i++) {
        s.position[i] = find_position(x, &s, i);
        counts[i] = s.cubic ? 4 : 2;
    }
    if (gml_node_string_is(node, "mode", "nearest"))
        return element_at(x, &s, s.position);
    const gml_expr *sum = gml_sum_taps(x, s.n, counts, tap_term, &s);
    return gml_sample_cast(x, sum, gml_result_dtype(x, result));
}

/* ---- the gradient -------------------------------------------------------------------------
 * The same in nodes, for gml_grad_by_formula. */

static void build_border(gml_build *b, const gml_node *node, gml_dtype dtype, gml_dim size,
                         gml_value *out_border[2])
{
    double margin = gml_node_int(node, "align_corners", 0) ? 0.0 : 0.5;
    gml_value *d = gml_build_size(b, dtype, size);
    out_border[0] = gml_build_scalar(b, dtype, -margin);
    out_border[1] = gml_build_sub(b, d, gml_build_scalar(b, dtype, 1.0 - margin));
}

static gml_value *build_reflected(gml_build *b, gml_value *v, gml_value *const border[2])
{
    gml_value *low = gml_build_binary(b, &gml_op_less, v, border[0]);
    gml_value *high = gml_build_binary(b, &gml_op_less, border[1], v);
    gml_value *span = gml_build_sub(b, border[1], border[0]);
    gml_value *beyond =
        gml_build_where(b, low, gml_build_sub(b, border[0], v), gml_build_sub(b, v, border[1]));
    gml_value *turns = gml_build_unary(b, &gml_op_floor, gml_build_div(b, beyond, span));
    gml_value *rest = gml_build_sub(b, beyond, gml_build_mul(b, turns, span));
    gml_value *half = gml_build_mul_scalar(b, turns, 0.5);
    gml_value *even =
        gml_build_binary(b, &gml_op_equal, half, gml_build_unary(b, &gml_op_floor, half));
    gml_value *up = gml_build_add(b, border[0], rest);
    gml_value *down = gml_build_sub(b, border[1], rest);
    gml_value *from_low = gml_build_where(b, even, up, down);
    gml_value *from_high = gml_build_where(b, even, down, up);
    return gml_build_where(b, low, from_low, gml_build_where(b, high, from_high, v));
}

/* Normalised positions v (N, P) in elements, moved inside where the padding says so. */
static gml_value *build_position(gml_build *b, const gml_node *node, gml_value *v, gml_dim size)
{
    gml_dtype dtype = v->type.dtype;
    gml_value *d = gml_build_size(b, dtype, size);
    gml_value *end = gml_build_add_scalar(b, d, -1);
    gml_value *zero = gml_build_scalar(b, dtype, 0);
    gml_value *border[2];
    v = gml_build_add_scalar(b, v, 1);
    if (gml_node_int(node, "align_corners", 0))
        v = gml_build_mul(b, gml_build_mul_scalar(b, v, 0.5), end);
    else
        v = gml_build_mul_scalar(b, gml_build_add_scalar(b, gml_build_mul(b, v, d), -1), 0.5);
    if (gml_node_string_is(node, "mode", "nearest"))
        v = gml_build_unary(b, &gml_op_round, v);
    build_border(b, node, dtype, size, border);
    if (gml_node_string_is(node, "padding_mode", "reflection"))
        return build_reflected(b, v, border);
    if (!gml_node_string_is(node, "padding_mode", "border"))
        return v;
    gml_value *low = gml_build_binary(b, &gml_op_less, v, border[0]);
    gml_value *high = gml_build_binary(b, &gml_op_less, border[1], v);
    return gml_build_where(b, gml_build_binary(b, &gml_op_or, low, high),
                           gml_build_clamp(b, v, zero, end), v);
}

static gml_taps build_axis(gml_build *b, const gml_node *node, gml_value *v, gml_dim size,
                           gml_dtype dtype)
{
    bool cubic = gml_node_string_is(node, "mode", "cubic");
    int64_t last = 2;
    gml_taps taps = {.count = cubic ? 4 : 2};
    if (gml_node_string_is(node, "mode", "nearest")) {
        taps.count = 1;
        taps.index = gml_build_unsqueeze(b, v, &last, 1);
        taps.weight = gml_build_scalar(b, v->type.dtype, 1);
    } else {
        taps.index = gml_build_neighbours(b, v, cubic ? -1 : 0, taps.count);
        gml_value *distance = gml_build_sub(b, taps.index, gml_build_unsqueeze(b, v, &last, 1));
        taps.weight = cubic ? gml_build_cubic_kernel(b, distance, -0.75)
                            : gml_build_linear_kernel(b, distance);
    }
    if (gml_node_string_is(node, "padding_mode", "reflection")) {
        gml_value *border[2];
        build_border(b, node, v->type.dtype, size, border);
        taps.index = build_reflected(b, taps.index, border);
    }
    if (gml_node_string_is(node, "padding_mode", "zeros"))
        taps.weight = gml_build_inside(b, taps.index, size, taps.weight);
    else if (taps.count == 1)
        taps.weight = NULL;
    if (taps.weight)
        taps.weight = gml_build_cast(b, taps.weight, dtype);
    return taps;
}

static gml_value *formula(gml_grad *g, gml_value *const *operands)
{
    gml_build *b = &g->b;
    const gml_type *y = &g->node->results[0].type;
    gml_dim_pool *pool = &g->node->graph->module->dims;
    gml_dtype wide = gml_compute_dtype(y->dtype);
    gml_value *x = gml_build_cast(b, operands[0], wide);
    gml_value *grid =
        gml_build_cast(b, operands[1], gml_compute_dtype(operands[1]->type.dtype));
    gml_taps taps[GML_MAX_RANK];
    int64_t last = 3;
    int n = y->rank - 2;
    gml_dim places = 1;
    for (int i = 0; i < n; i++)
        places = gml_dim_mul(pool, places, y->dims[i + 2]);
    grid = gml_build_reshape(b, grid, (const gml_dim[]){y->dims[0], places, n}, 3);
    for (int i = 0; i < n; i++) {
        gml_dim size = x->type.dims[i + 2];
        gml_value *v = gml_build_entry(b, grid, n - 1 - i);
        taps[i] = build_axis(b, g->node, build_position(b, g->node, v, size), size, wide);
    }
    gml_value *sum = gml_build_taps(b, x, n, taps);
    sum = gml_build_reduce(b, &gml_op_reducesum, sum, &last, 1, false);
    return gml_build_cast(b, gml_build_reshape(b, sum, y->dims, (size_t)y->rank), y->dtype);
}

static gml_status grad(gml_grad *g)
{
    return gml_grad_by_formula(g, formula);
}

const gml_op_info gml_op_gridsample = {
    .name = "GridSample",
    .doc = "A tensor interpolated at positions that another gives.",
    .min_in = 2,
    .max_in = 2,
    .min_out = 1,
    .max_out = 1,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
