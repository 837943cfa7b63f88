/* ir/ops/resize.c - Resize.
 *
 * Each resized axis maps a position of the result to one of the operand (find_position), in f64
 * since a position next to a whole number decides which element is nearest. `nearest` takes one
 * element; `linear` and `cubic` weigh those around by a kernel of the distance, which antialias
 * stretches by 1 / scale when the axis shrinks. Elements beyond the ends repeat the end, or are
 * left out (exclude_outside); wherever the weights may not sum to 1, their sum divides the
 * result. */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/sample.h"
#include "ir/view.h"

#include <math.h>
#include <string.h>

static const gml_attr_spec attrs[] = {
    {"antialias", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"axes", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"coordinate_transformation_mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "half_pixel"},
    {"cubic_coeff_a", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = -0.75f},
    {"exclude_outside", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"extrapolation_value", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 0.0f},
    {"keep_aspect_ratio_policy", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "stretch"},
    {"mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "nearest"},
    {"nearest_mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "round_prefer_floor"},
    {NULL},
};

static bool coordinates_are(const gml_node *node, const char *mode)
{
    return gml_node_string_is(node, "coordinate_transformation_mode", mode);
}

/* ---- sizes --------------------------------------------------------------------------------
 */

/* What the scales and sizes operands say; the one that is not used has count 0. */
typedef struct resize_request {
    const double *scales;
    const gml_dim *sizes;
    size_t n_scales;
    size_t n_sizes;
} resize_request;

/* The axis that entry `i` of scales, sizes and roi is for. */
static int resized_axis(const gml_node *node, size_t i, int rank)
{
    size_t count;
    const int64_t *axes = gml_node_ints(node, "axes", &count);
    int64_t axis = axes ? axes[i] : (int64_t)i;
    return (int)(axis < 0 ? axis + rank : axis);
}

/* floor(size scale), exactly: a float is a whole number times a power of two. */
static gml_dim scaled_size(gml_dim_pool *pool, gml_dim size, double scale)
{
    int exponent;
    int64_t mantissa = (int64_t)ldexp(frexp(scale, &exponent), 24);
    exponent -= 24;
    while (exponent < 0 && mantissa % 2 == 0) {
        mantissa /= 2;
        exponent++;
    }
    gml_dim product = gml_dim_mul(pool, size, mantissa);
    if (exponent >= 0)
        return gml_dim_mul(pool, product, (int64_t)1 << exponent);
    return gml_dim_div(pool, product, (int64_t)1 << -exponent);
}

/* The one scale of all axes where the aspect ratio is kept: the smallest or largest of their
 * own. 0 when each has its own. Sizes are known to be constant. */
static double common_scale(const gml_node *node, const gml_type *data,
                           const resize_request *request)
{
    bool not_larger = gml_node_string_is(node, "keep_aspect_ratio_policy", "not_larger");
    if (request->n_sizes == 0 ||
        gml_node_string_is(node, "keep_aspect_ratio_policy", "stretch"))
        return 0;
    double scale = 0;
    for (size_t i = 0; i < request->n_sizes; i++) {
        gml_dim size = data->dims[resized_axis(node, i, data->rank)];
        double own = (double)request->sizes[i] / (double)size;
        bool better = not_larger ? own < scale : own > scale;
        if (i == 0 || better)
            scale = own;
    }
    return scale;
}

static gml_status check_modes(gml_infer *cx)
{
    static const char *const known[][7] = {
        {"mode", "nearest", "linear", "cubic"},
        {"nearest_mode", "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"},
        {"keep_aspect_ratio_policy", "stretch", "not_larger", "not_smaller"},
        {"coordinate_transformation_mode", "half_pixel", "half_pixel_symmetric",
         "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        bool found = false;
        for (int k = 1; k < 7 && known[i][k]; k++)
            found = found || gml_node_string_is(cx->node, known[i][0], known[i][k]);
        if (!found)
            return gml_infer_fail(cx, GML_E_INVALID, "unknown %s", known[i][0]);
    }
    if (!gml_node_string_is(cx->node, "mode", "nearest"))
        return gml_infer_require(cx, 0, GML_IS_NUMBER);
    if (gml_node_int(cx->node, "antialias", 0))
        return gml_infer_fail(cx, GML_E_INVALID, "antialias does not go with mode nearest");
    return GML_OK;
}

static gml_status read_request(gml_infer *cx, const gml_type *data, resize_request *request,
                               size_t *out_count)
{
    unsigned set;
    size_t count;
    const int64_t *axes = gml_node_ints(cx->node, "axes", &count);
    if (axes)
        GML_TRY(gml_infer_axes(cx, axes, count, data->rank, &set));
    else
        count = (size_t)data->rank;
    *out_count = count;
    GML_TRY(gml_infer_floats(cx, 2, &request->scales, &request->n_scales));
    GML_TRY(gml_infer_elements(cx, 3, &request->sizes, &request->n_sizes));
    if (request->n_scales > 0 && request->n_sizes > 0)
        return gml_infer_fail(cx, GML_E_INVALID, "both scales and sizes are given");
    size_t given = request->n_scales + request->n_sizes;
    if (given != count)
        return gml_infer_fail(cx, GML_E_SHAPE, "%zu scales or sizes for %zu axes", given,
                              count);
    for (size_t i = 0; i < request->n_scales; i++)
        if (!(request->scales[i] > 0x1p-30 && request->scales[i] < 0x1p30))
            return gml_infer_fail(cx, GML_E_RANGE, "scale %zu is %g", i, request->scales[i]);
    if (!coordinates_are(cx->node, "tf_crop_and_resize"))
        return GML_OK;
    const gml_type *roi;
    GML_TRY(gml_infer_tensor(cx, 1, &roi));
    GML_TRY(gml_infer_require(cx, 1, GML_IS_FLOAT));
    gml_dim wanted = 2 * (gml_dim)count;
    if (roi->rank != 1 || gml_infer_differ(cx, roi->dims[0], wanted))
        return gml_infer_fail(cx, GML_E_SHAPE,
                              "the region of interest has not two ends an axis");
    return GML_OK;
}

/* Where a formula needs numbers, sizes must be constant. */
static gml_status check_constant(gml_infer *cx, const gml_type *data,
                                 const resize_request *request)
{
    bool needed = !gml_node_string_is(cx->node, "keep_aspect_ratio_policy", "stretch") ||
                  gml_node_int(cx->node, "antialias", 0);
    for (size_t i = 0; needed && i < request->n_sizes; i++) {
        gml_dim size = data->dims[resized_axis(cx->node, i, data->rank)];
        if (!gml_dim_is_const(size) || !gml_dim_is_const(request->sizes[i]))
            return gml_infer_fail(cx, GML_E_UNSUPPORTED, "the scale of axis %d is not known",
                                  resized_axis(cx->node, i, data->rank));
        if (size == 0)
            return gml_infer_fail(cx, GML_E_SHAPE, "an axis of no elements has no scale");
    }
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    resize_request request;
    size_t count;
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(check_modes(cx));
    GML_TRY(read_request(cx, data, &request, &count));
    GML_TRY(check_constant(cx, data, &request));
    double common = common_scale(cx->node, data, &request);
    gml_dim dims[GML_MAX_RANK];
    for (int i = 0; i < data->rank; i++)
        dims[i] = data->dims[i];
    for (size_t i = 0; i < count; i++) {
        int axis = resized_axis(cx->node, i, data->rank);
        if (common > 0)
            dims[axis] = (gml_dim)floor(common * (double)data->dims[axis] + 0.5);
        else if (request.n_scales)
            dims[axis] = scaled_size(cx->dims, data->dims[axis], request.scales[i]);
        else
            dims[axis] = request.sizes[i];
        if (gml_infer_is_empty(cx, data->dims[axis], dims[axis]))
            return gml_infer_fail(cx, GML_E_SHAPE, "axis %d has no element to resize", axis);
    }
    return gml_infer_set(cx, 0, data->dtype, data->rank, dims);
}

/* ---- positions ----------------------------------------------------------------------------
 */

typedef struct resize_axis {
    int axis;
    const gml_expr *position; /* in the operand, f64 */
    int64_t first;            /* tap 0 is at floor(position) + first */
    double squeeze; /* factor on distances: the scale when antialias shrinks, else 1 */
} resize_axis;

typedef struct resize {
    const gml_node *node;
    const gml_expr *const *index;
    int n;
    resize_axis axes[GML_MAX_RANK];
    int64_t counts[GML_MAX_RANK];
    const gml_expr *outside; /* beyond a region of interest, or NULL */
} resize;

/* What the formulas of one axis are made of, f64. */
typedef struct axis_sizes {
    const gml_expr *at; /* the position in the result */
    const gml_expr *scale;
    const gml_expr *in;     /* elements of the operand */
    const gml_expr *out;    /* scale in; may be no whole number */
    const gml_expr *actual; /* elements of the result */
} axis_sizes;

static const gml_expr *f64(gml_lower *x, double value)
{
    return gml_const(x, GML_F64, value);
}

/* `many` where the result has more than one element along the axis, else `one`. */
static const gml_expr *unless_single(gml_lower *x, const axis_sizes *s, const gml_expr *many,
                                     const gml_expr *one)
{
    return gml_select(x, gml_eq(x, s->out, f64(x, 1)), one, many);
}

/* (at + 1/2) / scale - 1/2 */
static const gml_expr *half_pixel(gml_lower *x, const axis_sizes *s)
{
    const gml_expr *middle = gml_add(x, s->at, f64(x, 0.5));
    return gml_sub(x, gml_div(x, middle, s->scale), f64(x, 0.5));
}

/* From roi[i] to roi[i + n] of the operand, ends aligned. Sets whether it is beyond the ends.
 */
static const gml_expr *crop(gml_lower *x, const axis_sizes *s, size_t i,
                            const gml_expr **outside)
{
    int64_t n = gml_operand_dim(x, 1, 0) / 2;
    const gml_expr *ends[2] = {gml_i64(x, (int64_t)i), gml_i64(x, (int64_t)i + n)};
    const gml_expr *start = gml_cast(x, gml_at(x, 1, &ends[0]), GML_F64);
    const gml_expr *end = gml_cast(x, gml_at(x, 1, &ends[1]), GML_F64);
    const gml_expr *last = gml_sub(x, s->in, f64(x, 1));
    const gml_expr *span = gml_mul(x, gml_sub(x, end, start), last);
    const gml_expr *many = gml_div(x, gml_mul(x, s->at, span), gml_sub(x, s->out, f64(x, 1)));
    const gml_expr *moved = unless_single(x, s, many, gml_mul(x, span, f64(x, 0.5)));
    const gml_expr *position = gml_add(x, moved, gml_mul(x, start, last));
    const gml_expr *here = gml_or(x, gml_lt(x, position, f64(x, 0)), gml_lt(x, last, position));
    *outside = *outside ? gml_or(x, *outside, here) : here;
    return position;
}

static const gml_expr *find_position(gml_lower *x, const gml_node *node, const axis_sizes *s,
                                     size_t i, const gml_expr **outside)
{
    if (coordinates_are(node, "asymmetric"))
        return gml_div(x, s->at, s->scale);
    if (coordinates_are(node, "align_corners")) {
        const gml_expr *ends = gml_mul(x, s->at, gml_sub(x, s->in, f64(x, 1)));
        const gml_expr *many = gml_div(x, ends, gml_sub(x, s->out, f64(x, 1)));
        return unless_single(x, s, many, f64(x, 0));
    }
    if (coordinates_are(node, "tf_crop_and_resize"))
        return crop(x, s, i, outside);
    if (coordinates_are(node, "pytorch_half_pixel"))
        return unless_single(x, s, half_pixel(x, s), f64(x, 0));
    if (coordinates_are(node, "half_pixel"))
        return half_pixel(x, s);
    /* half_pixel_symmetric: about the middle, since the result may be cut to whole elements */
    const gml_expr *part = gml_div(x, s->actual, s->out);
    const gml_expr *cut = gml_sub(x, f64(x, 1), part);
    const gml_expr *offset = gml_mul(x, gml_mul(x, s->in, f64(x, 0.5)), cut);
    const gml_expr *middle = gml_div(x, gml_add(x, s->at, f64(x, 0.5)), s->scale);
    return gml_sub(x, gml_add(x, offset, middle), f64(x, 0.5));
}

/* Plans entry `i`; nothing is planned for an axis that stays as it is. */
static void plan_axis(gml_lower *x, resize *r, const resize_request *request, double common,
                      size_t i)
{
    const gml_type *data = gml_operand_type(r->node, 0);
    int axis = resized_axis(r->node, i, data->rank);
    gml_dim in = data->dims[axis];
    gml_dim out = r->node->results[0].type.dims[axis];
    axis_sizes s;
    s.at = gml_cast(x, r->index[axis], GML_F64);
    s.in = gml_cast(x, gml_size(x, in), GML_F64);
    s.actual = gml_cast(x, gml_size(x, out), GML_F64);
    if (common > 0)
        s.scale = f64(x, common);
    else if (request->n_scales)
        s.scale = f64(x, request->scales[i]);
    else
        s.scale = gml_div(x, s.actual, s.in);
    bool one = in == out && (!request->n_scales || request->scales[i] == 1) && common <= 0;
    if (one && !coordinates_are(r->node, "tf_crop_and_resize"))
        return;
    s.out = gml_mul(x, s.scale, s.in);
    if (!request->n_scales && common <= 0)
        s.out = s.actual; /* the same number, free of rounding */
    resize_axis *planned = &r->axes[r->n];
    planned->axis = axis;
    planned->position = find_position(x, r->node, &s, i, &r->outside);
    planned->squeeze = 1;
    if (gml_node_int(r->node, "antialias", 0) && s.scale->as.cst.f < 1)
        planned->squeeze = s.scale->as.cst.f; /* constant: `infer` has seen to it */
    double reach = gml_node_string_is(r->node, "mode", "cubic") ? 2 : 1;
    planned->first = (int64_t)floor(-reach / planned->squeeze) + 1;
    r->counts[r->n++] = 2 - 2 * planned->first;
}

/* ---- elements -----------------------------------------------------------------------------
 */

static const gml_expr *nearest(gml_lower *x, const gml_node *node, const gml_expr *position)
{
    const gml_expr *half = f64(x, 0.5);
    gml_scalar_op op = GML_X_CEIL;
    if (gml_node_string_is(node, "nearest_mode", "round_prefer_floor"))
        position = gml_sub(x, position, half);
    else if (gml_node_string_is(node, "nearest_mode", "round_prefer_ceil"))
        position = gml_add(x, position, half);
    if (gml_node_string_is(node, "nearest_mode", "floor") ||
        gml_node_string_is(node, "nearest_mode", "round_prefer_ceil"))
        op = GML_X_FLOOR;
    return gml_position(x, gml_unary(x, op, position));
}

static const gml_expr *tap_position(gml_lower *x, const resize_axis *axis, const gml_expr *tap)
{
    const gml_expr *base = gml_position(x, gml_unary(x, GML_X_FLOOR, axis->position));
    return gml_add(x, base, gml_add(x, tap, gml_i64(x, axis->first)));
}

static const gml_expr *tap_weight(gml_lower *x, const resize *r, const resize_axis *axis,
                                  const gml_expr *tap)
{
    gml_dtype wide = gml_sample_dtype(gml_operand_dtype(x, 0));
    const gml_expr *floor_ = gml_unary(x, GML_X_FLOOR, axis->position);
    const gml_expr *ratio = gml_cast(x, gml_sub(x, axis->position, floor_), wide);
    const gml_expr *place = gml_add(x, tap, gml_i64(x, axis->first));
    const gml_expr *distance = gml_sub(x, gml_cast(x, place, wide), ratio);
    distance = gml_mul(x, distance, gml_like(x, distance, axis->squeeze));
    double a = gml_node_float(r->node, "cubic_coeff_a", -0.75f);
    const gml_expr *weight = gml_node_string_is(r->node, "mode", "cubic")
                                 ? gml_cubic_kernel(x, distance, a)
                                 : gml_linear_kernel(x, distance);
    if (!gml_node_int(r->node, "exclude_outside", 0))
        return weight;
    gml_dim size = gml_operand_dim(x, 0, axis->axis);
    const gml_expr *inside = gml_in_range(x, tap_position(x, axis, tap), size);
    return gml_select(x, inside, weight, gml_like(x, weight, 0.0));
}

static const gml_expr *element_term(gml_lower *x, const void *context,
                                    const gml_expr *const *taps)
{
    const resize *r = context;
    const gml_expr *from[GML_MAX_RANK];
    const gml_expr *weight = NULL;
    gml_copy_index(r->index, gml_operand_rank(x, 0), from);
    for (int i = 0; i < r->n; i++) {
        const resize_axis *axis = &r->axes[i];
        const gml_expr *at = tap_position(x, axis, taps[i]);
        from[axis->axis] = gml_clamp_index(x, at, gml_operand_dim(x, 0, axis->axis));
        const gml_expr *w = tap_weight(x, r, axis, taps[i]);
        weight = weight ? gml_mul(x, weight, w) : w;
    }
    return gml_mul(x, weight, gml_cast(x, gml_at(x, 0, from), weight->dtype));
}

/* One axis of a resize, for the sum of its weights. */
typedef struct weight_sum {
    const resize *r;
    const resize_axis *axis;
} weight_sum;

static const gml_expr *weight_term(gml_lower *x, const void *context,
                                   const gml_expr *const *taps)
{
    const weight_sum *sum = context;
    return tap_weight(x, sum->r, sum->axis, taps[0]);
}

static const gml_expr *interpolate(gml_lower *x, const resize *r)
{
    const gml_expr *value = gml_sum_taps(x, r->n, r->counts, element_term, r);
    for (int i = 0; i < r->n; i++) {
        weight_sum context = {r, &r->axes[i]};
        if (r->axes[i].squeeze >= 1 && !gml_node_int(r->node, "exclude_outside", 0))
            continue; /* the weights sum to 1 */
        const gml_expr *sum = gml_sum_taps(x, 1, &r->counts[i], weight_term, &context);
        const gml_expr *none = gml_eq(x, sum, gml_like(x, sum, 0.0));
        value = gml_div(x, value, gml_select(x, none, gml_like(x, sum, 1.0), sum));
    }
    return value;
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_type *data = gml_operand_type(node, 0);
    resize r = {.node = node, .index = index};
    resize_request request;
    request.scales = gml_operand_floats(x, 2, &request.n_scales);
    request.sizes = gml_operand_elements(x, 3, &request.n_sizes);
    double common = common_scale(node, data, &request);
    for (size_t i = 0; i < request.n_scales + request.n_sizes; i++)
        plan_axis(x, &r, &request, common, i);
    gml_dtype dtype = gml_result_dtype(x, result);
    const gml_expr *value;
    if (r.n == 0) {
        value = gml_at(x, 0, index);
    } else if (gml_node_string_is(node, "mode", "nearest")) {
        const gml_expr *from[GML_MAX_RANK];
        gml_copy_index(index, data->rank, from);
        for (int i = 0; i < r.n; i++) {
            int axis = r.axes[i].axis;
            const gml_expr *at = nearest(x, node, r.axes[i].position);
            from[axis] = gml_clamp_index(x, at, data->dims[axis]);
        }
        value = gml_at(x, 0, from);
    } else {
        value = gml_sample_cast(x, interpolate(x, &r), dtype);
    }
    if (!r.outside)
        return value;
    double extrapolation = gml_node_float(node, "extrapolation_value", 0.0f);
    return gml_select(x, r.outside, gml_const(x, dtype, extrapolation), value);
}

/* ---- the gradient -------------------------------------------------------------------------
 */

/* The axis that decides the scale of all where the aspect ratio is kept. */
static size_t deciding_axis(const gml_node *node, const gml_type *data,
                            const resize_request *request)
{
    double common = common_scale(node, data, request);
    size_t i = 0;
    for (; i + 1 < request->n_sizes; i++) {
        gml_dim size = data->dims[resized_axis(node, i, data->rank)];
        if ((double)request->sizes[i] / (double)size == common)
            break;
    }
    return i;
}

/* The node's attributes for a resize along the first axis, and if `two` the last of three;
 * outside of a crop is nothing. */
static size_t copy_attrs(gml_grad *g, gml_attr *out_attrs, bool two)
{
    static const int64_t axes[2] = {0, 2};
    size_t n = 0;
    for (uint32_t k = 0; k < g->node->n_attrs; k++)
        if (strcmp(g->node->attrs[k].name, "axes") != 0 &&
            strcmp(g->node->attrs[k].name, "extrapolation_value") != 0)
            out_attrs[n++] = g->node->attrs[k];
    out_attrs[n++] = gml_attr_ints("axes", axes, two ? 2 : 1);
    return n;
}

/* The ends of entry `i` in the region of interest. */
static gml_value *region_of(gml_grad *g, size_t i)
{
    gml_value *roi = g->node->operands[1];
    int64_t n = roi->type.dims[0] / 2;
    gml_value *ends[2];
    for (int64_t k = 0; k < 2; k++)
        ends[k] = gml_build_slice(&g->b, roi, 0, (int64_t)i + k * n, (int64_t)i + k * n + 1);
    return gml_build_concat(&g->b, ends, 2, 0);
}

/* The matrix, results by operands, that resizing along axis `i` of the request multiplies by:
 * the identity resized. Where the aspect ratio is kept, (in, in, in of the axis that decides)
 * is resized along the first and last axis, and of the last, where all are equal, one is taken.
 */
static gml_value *matrix_of(gml_grad *g, size_t i, const resize_request *request)
{
    gml_build *b = &g->b;
    gml_node *node = g->node;
    const gml_type *data = &node->operands[0]->type;
    gml_dtype dtype = g->results[0]->type.dtype;
    gml_attr *attrs_of =
        gml_new_array(&node->graph->module->arena, gml_attr, node->n_attrs + 2);
    bool keeps = common_scale(node, data, request) > 0;
    gml_dim size = data->dims[resized_axis(node, i, data->rank)];
    gml_dim dims[3] = {size, size, 1};
    int64_t last = 2;
    gml_value *operands[4] = {
        gml_build_unary(b, &gml_op_eyelike, gml_build_zeros(b, dtype, dims, 2)), NULL, NULL,
        NULL};
    if (keeps) {
        size_t deciding = deciding_axis(node, data, request);
        const gml_dim wanted[2] = {request->sizes[i], request->sizes[deciding]};
        dims[2] = data->dims[resized_axis(node, deciding, data->rank)];
        operands[0] =
            gml_build_binary(b, &gml_op_expand, gml_build_unsqueeze(b, operands[0], &last, 1),
                             gml_build_dims(b, dims, 3));
        operands[3] = gml_build_dims(b, wanted, 2);
    } else if (request->n_scales) {
        operands[2] = gml_build_reshape(b, gml_build_scalar(b, GML_F32, request->scales[i]),
                                        (const gml_dim[]){1}, 1);
    } else {
        operands[3] = gml_build_dims(b, &request->sizes[i], 1);
    }
    if (coordinates_are(node, "tf_crop_and_resize"))
        operands[1] = region_of(g, i);
    size_t n = copy_attrs(g, attrs_of, keeps);
    gml_value *matrix =
        gml_build_op(b, &gml_op_resize, operands, operands[3] ? 4 : 3, attrs_of, n);
    if (!keeps)
        return matrix;
    return gml_build_squeeze(b, gml_build_slice(b, matrix, 2, 0, 1), &last, 1);
}

/* Resizing is linear, axis by axis: its gradient is the same with the matrices transposed. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_node *node = g->node;
    const gml_type *data = &node->operands[0]->type;
    gml_arena *arena = &node->graph->module->arena;
    resize_request request = {0};
    if (gml_has_operand(node, 2))
        request.scales = gml_value_floats(node->operands[2], arena, &request.n_scales);
    if (gml_has_operand(node, 3))
        request.sizes = gml_value_elements(node->operands[3], arena, &request.n_sizes);
    bool crops = coordinates_are(node, "tf_crop_and_resize");
    if (crops && g->wanted[1] && !gml_node_string_is(node, "mode", "nearest"))
        return gml_fail(b->diags, GML_E_UNSUPPORTED, node->loc,
                        "no gradient by the region of interest");
    if (crops && (!gml_dim_is_const(node->operands[1]->type.dims[0]) ||
                  !gml_node_string_is(node, "keep_aspect_ratio_policy", "stretch")))
        return gml_fail(b->diags, GML_E_UNSUPPORTED, node->loc,
                        "no gradient of crops where the aspect ratio is kept");
    gml_value *dx = g->results[0];
    bool keeps = common_scale(node, data, &request) > 0;
    for (size_t i = 0; i < request.n_scales + request.n_sizes; i++) {
        int axis = resized_axis(node, i, data->rank);
        bool same = request.n_scales > 0 ? request.scales[i] == 1
                                         : request.sizes[i] == data->dims[axis];
        if (same && !crops && !keeps)
            continue;
        int64_t perm[GML_MAX_RANK]; /* swaps the axis with the last one: its own inverse */
        size_t rank = (size_t)data->rank;
        for (size_t d = 0; d < rank; d++)
            perm[d] = (int64_t)d;
        perm[axis] = data->rank - 1;
        perm[rank - 1] = axis;
        gml_value *matrix = matrix_of(g, i, &request);
        gml_value *last = gml_build_transpose(b, dx, perm, rank);
        dx = gml_build_transpose(b, gml_build_matmul(b, last, matrix), perm, rank);
    }
    g->operands[0] = dx;
    return b->status;
}

const gml_op_info gml_op_resize = {
    .name = "Resize",
    .doc = "A tensor with more or fewer elements along its axes, by interpolation.",
    .min_in = 1,
    .max_in = 4,
    .min_out = 1,
    .max_out = 1,
    .value_operands = 1u << 2 | 1u << 3,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
