/* ir/ops/roialign.c - RoiAlign: the mean, or maximum, of bilinear samples in the bins of
 * regions.
 *
 * A bin of height b has sampling_ratio rows of samples, or ceil(b) when that is 0: a number
 * that depends on the data. Then at most 2 (H + 1) + 1 rows can lie inside the image, since
 * rows are more than half an element apart when there is more than one; so the sum runs over
 * that many, from shortly before the first inside. Samples outside count as 0. */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/ops/sample_grad_util.h"
#include "ir/sample.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"coordinate_transformation_mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "half_pixel"},
    {"mode", GML_ATTR_STRING, GML_ATTR_DEFAULT, .s = "avg"},
    {"output_height", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"output_width", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 1},
    {"sampling_ratio", GML_ATTR_INT, GML_ATTR_DEFAULT, .i = 0},
    {"spatial_scale", GML_ATTR_FLOAT, GML_ATTR_DEFAULT, .f = 1.0f},
    {NULL},
};

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const gml_type *rois;
    const gml_type *batch;
    GML_TRY(gml_infer_require(cx, 0, GML_IS_FLOAT));
    GML_TRY(gml_infer_require(cx, 1, GML_IS_FLOAT));
    GML_TRY(gml_infer_require(cx, 2, GML_IS_INT));
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_tensor(cx, 1, &rois));
    GML_TRY(gml_infer_tensor(cx, 2, &batch));
    if (data->rank != 4 || rois->rank != 2 || batch->rank != 1)
        return gml_infer_fail(cx, GML_E_SHAPE, "operands have ranks %d, %d, %d, not 4, 2, 1",
                              data->rank, rois->rank, batch->rank);
    if (gml_infer_differ(cx, rois->dims[1], 4))
        return gml_infer_fail(cx, GML_E_SHAPE, "a region has %lld numbers, not 4",
                              (long long)rois->dims[1]);
    if (gml_infer_differ(cx, rois->dims[0], batch->dims[0]))
        return gml_infer_fail(cx, GML_E_SHAPE, "%lld regions, but %lld batch indices",
                              (long long)rois->dims[0], (long long)batch->dims[0]);
    if (gml_infer_exceeds(cx, 1, data->dims[0]) || gml_infer_exceeds(cx, 1, data->dims[2]) ||
        gml_infer_exceeds(cx, 1, data->dims[3]))
        return gml_infer_fail(cx, GML_E_SHAPE, "the data has no element");
    int64_t height = gml_node_int(cx->node, "output_height", 1);
    int64_t width = gml_node_int(cx->node, "output_width", 1);
    int64_t ratio = gml_node_int(cx->node, "sampling_ratio", 0);
    if (height < 1 || width < 1 || ratio < 0 || ratio > INT32_MAX)
        return gml_infer_fail(cx, GML_E_RANGE, "output %lld by %lld, sampling_ratio %lld",
                              (long long)height, (long long)width, (long long)ratio);
    gml_dim dims[4] = {rois->dims[0], data->dims[1], height, width};
    return gml_infer_set(cx, 0, data->dtype, 4, dims);
}

/* The samples of a bin along one axis. */
typedef struct bin_axis {
    const gml_axis *axis;
    const gml_expr *position; /* of a sample, in elements */
    const gml_expr *count;    /* of samples, as a float */
    const gml_expr *valid;    /* the sample is one of them */
} bin_axis;

/* Coordinate `k` of the region, in elements. */
static const gml_expr *roi_end(gml_lower *x, const gml_node *node, const gml_expr *roi, int k)
{
    bool half = gml_node_string_is(node, "coordinate_transformation_mode", "half_pixel");
    const gml_expr *at[2] = {roi, gml_i64(x, k)};
    const gml_expr *end = gml_wide(x, gml_at(x, 1, at));
    end = gml_mul(x, end, gml_like(x, end, gml_node_float(node, "spatial_scale", 1.0f)));
    return half ? gml_sub(x, end, gml_like(x, end, 0.5)) : end;
}

/* `axis` is 0 for rows and 1 for columns. */
static bin_axis find_samples(gml_lower *x, const gml_node *node, const gml_expr *const *index,
                             int axis)
{
    bin_axis bin;
    const gml_expr *start = roi_end(x, node, index[0], 1 - axis);
    const gml_expr *length = gml_sub(x, roi_end(x, node, index[0], 3 - axis), start);
    const gml_expr *zero = gml_like(x, start, 0.0);
    if (!gml_node_string_is(node, "coordinate_transformation_mode", "half_pixel"))
        length = gml_max(x, length, gml_like(x, start, 1.0));
    int64_t bins = gml_node_int(node, axis ? "output_width" : "output_height", 1);
    const gml_expr *size = gml_div(x, length, gml_like(x, start, (double)bins));
    const gml_expr *base =
        gml_add(x, start, gml_mul(x, gml_cast(x, index[2 + axis], start->dtype), size));
    int64_t ratio = gml_node_int(node, "sampling_ratio", 0);
    gml_dim extent = ratio;
    const gml_expr *first = gml_i64(x, 0);
    const gml_expr *step;
    if (ratio > 0) {
        bin.count = gml_like(x, start, (double)ratio);
        step = gml_div(x, size, bin.count);
    } else {
        bin.count = gml_max(x, gml_unary(x, GML_X_CEIL, size), zero);
        step = gml_div(x, size, bin.count);
        gml_dim_pool *pool = x->kernel->dims;
        extent = gml_dim_add(pool, gml_dim_mul(pool, 2, gml_operand_dim(x, 0, 2 + axis)), 8);
        const gml_expr *before = gml_sub(x, gml_like(x, start, -1.0), base);
        before = gml_unary(x, GML_X_FLOOR, gml_div(x, before, step));
        before = gml_sub(x, before, gml_like(x, start, 2.0));
        const gml_expr *last = gml_sub(x, bin.count, gml_like(x, start, 1.0));
        first = gml_position(x, gml_max(x, zero, gml_min(x, before, last)));
    }
    bin.axis = gml_reduce_axis(x, extent);
    const gml_expr *sample =
        gml_cast(x, gml_add(x, first, gml_axis_value(x, bin.axis)), start->dtype);
    bin.valid = gml_lt(x, sample, bin.count);
    const gml_expr *middle = gml_add(x, sample, gml_like(x, start, 0.5));
    bin.position = gml_add(x, base, gml_mul(x, middle, step));
    return bin;
}

/* The two elements around a position along one axis, and the weight of the second. */
typedef struct neighbours {
    const gml_expr *index[2];
    const gml_expr *weight[2];
    const gml_expr *inside;
} neighbours;

static neighbours find_neighbours(gml_lower *x, const gml_expr *position, gml_dim size)
{
    neighbours n;
    const gml_expr *d = gml_cast(x, gml_size(x, size), position->dtype);
    const gml_expr *one = gml_like(x, position, 1.0);
    const gml_expr *zero = gml_like(x, position, 0.0);
    n.inside =
        gml_and(x, gml_le(x, gml_like(x, position, -1.0), position), gml_le(x, position, d));
    const gml_expr *v = gml_min(x, gml_max(x, position, zero), gml_sub(x, d, one));
    const gml_expr *low = gml_unary(x, GML_X_FLOOR, v);
    n.index[0] = gml_clamp_index(x, gml_position(x, low), size);
    n.index[1] = gml_clamp_index(x, gml_add(x, n.index[0], gml_i64(x, 1)), size);
    n.weight[1] = gml_sub(x, v, low);
    n.weight[0] = gml_sub(x, one, n.weight[1]);
    return n;
}

/* The bilinear sample, or of its four terms the greatest; 0 outside. */
static const gml_expr *find_sample(gml_lower *x, const gml_expr *const *index,
                                   const bin_axis *rows, const bin_axis *columns, bool average)
{
    neighbours y = find_neighbours(x, rows->position, gml_operand_dim(x, 0, 2));
    neighbours z = find_neighbours(x, columns->position, gml_operand_dim(x, 0, 3));
    const gml_expr *batch = gml_wrap_index(x, gml_at(x, 2, index), gml_operand_dim(x, 0, 0));
    gml_dtype wide = gml_accumulator(gml_operand_dtype(x, 0));
    const gml_expr *value = NULL;
    for (int i = 0; i < 4; i++) {
        const gml_expr *from[4] = {batch, index[1], y.index[i / 2], z.index[i % 2]};
        const gml_expr *weight = gml_mul(x, y.weight[i / 2], z.weight[i % 2]);
        const gml_expr *term =
            gml_mul(x, gml_cast(x, weight, wide), gml_cast(x, gml_at(x, 0, from), wide));
        if (!value)
            value = term;
        else
            value = average ? gml_add(x, value, term) : gml_max(x, value, term);
    }
    return gml_select(x, gml_and(x, y.inside, z.inside), value, gml_like(x, value, 0.0));
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    bool average = !gml_node_string_is(node, "mode", "max");
    bin_axis rows = find_samples(x, node, index, 0);
    bin_axis columns = find_samples(x, node, index, 1);
    const gml_axis *axes[2] = {rows.axis, columns.axis};
    const gml_expr *value = find_sample(x, index, &rows, &columns, average);
    const gml_expr *zero = gml_like(x, value, 0.0);
    const gml_expr *valid = gml_and(x, rows.valid, columns.valid);
    const gml_expr *count = gml_cast(x, gml_mul(x, rows.count, columns.count), value->dtype);
    const gml_expr *pooled;
    if (average) {
        pooled = gml_reduce_over(x, GML_REDUCE_SUM, axes, 2, gml_select(x, valid, value, zero));
        pooled = gml_div(x, pooled, gml_max(x, count, gml_like(x, value, 1.0)));
    } else {
        const gml_expr *lowest = gml_lowest(x, value->dtype);
        pooled =
            gml_reduce_over(x, GML_REDUCE_MAX, axes, 2, gml_select(x, valid, value, lowest));
        pooled = gml_select(x, gml_eq(x, count, zero), zero, pooled);
    }
    return gml_cast(x, pooled, gml_result_dtype(x, result));
}

/* ---- the gradient -------------------------------------------------------------------------
 * The mean is a product with two matrices a region, (bins, rows of the image) and (bins,
 * columns), that hold how much each element counts in each bin. */

/* The samples of all bins along one axis. */
typedef struct bin_samples {
    gml_value *position; /* (R, bins, samples), in elements */
    gml_value *valid;    /* the same: the sample is one; NULL: all are */
    gml_value *count;    /* (R): of samples, at least 1 */
    int64_t bins;
    gml_dim size; /* of the image */
} bin_samples;

/* (R) as (R, 1…). */
static gml_value *as_column(gml_build *b, gml_value *x, int n_ones)
{
    static const int64_t axes[] = {1, 2, 3};
    return gml_build_unsqueeze(b, x, axes, (size_t)n_ones);
}

static gml_value *build_end(gml_grad *g, gml_value *rois, int k)
{
    bool half = gml_node_string_is(g->node, "coordinate_transformation_mode", "half_pixel");
    gml_value *end = gml_build_entry(&g->b, rois, k);
    end = gml_build_mul_scalar(&g->b, end, gml_node_float(g->node, "spatial_scale", 1.0f));
    return half ? gml_build_add_scalar(&g->b, end, -0.5) : end;
}

/* Where the number of samples depends on the region: as many as `find_samples` looks at. */
static gml_value *build_adaptive(gml_grad *g, gml_value *base, gml_value *size,
                                 bin_samples *bin)
{
    gml_build *b = &g->b;
    gml_dtype dtype = base->type.dtype;
    gml_dim_pool *pool = &g->node->graph->module->dims;
    gml_value *zero = gml_build_scalar(b, dtype, 0);
    gml_value *one = gml_build_scalar(b, dtype, 1);
    gml_value *count = gml_build_unary(b, &gml_op_ceil, size);
    int64_t last = 2;
    count = gml_build_unary(b, &gml_op_relu, count);
    bin->count = gml_build_binary(b, &gml_op_max, count, one);
    gml_value *step = gml_build_div(b, size, bin->count);
    gml_value *moves = gml_build_binary(b, &gml_op_less, zero, step);
    gml_value *safe = as_column(b, gml_build_where(b, moves, step, one), 1);
    gml_value *before = gml_build_sub_from(b, -1, base);
    before = gml_build_unary(b, &gml_op_floor, gml_build_div(b, before, safe));
    before = gml_build_add_scalar(b, before, -2);
    gml_value *end = as_column(b, gml_build_add_scalar(b, count, -1), 1);
    before = gml_build_binary(b, &gml_op_min, before, end);
    before = gml_build_unary(b, &gml_op_relu, before);
    gml_dim extent = gml_dim_add(pool, gml_dim_mul(pool, 2, bin->size), 8);
    gml_value *sample = gml_build_cast(b, gml_build_range(b, extent), dtype);
    sample = gml_build_add(b, gml_build_unsqueeze(b, before, &last, 1), sample);
    bin->valid = gml_build_binary(b, &gml_op_less, sample, as_column(b, count, 2));
    sample = gml_build_add_scalar(b, sample, 0.5);
    return gml_build_mul(b, sample, as_column(b, step, 2));
}

static bin_samples build_samples(gml_grad *g, gml_value *rois, int axis)
{
    gml_build *b = &g->b;
    const gml_node *node = g->node;
    gml_dtype dtype = rois->type.dtype;
    int64_t ratio = gml_node_int(node, "sampling_ratio", 0);
    int64_t last = 2;
    bin_samples bin = {.bins = gml_node_int(node, axis ? "output_width" : "output_height", 1),
                       .size = node->operands[0]->type.dims[2 + axis]};
    gml_value *start = build_end(g, rois, 1 - axis);
    gml_value *length = gml_build_sub(b, build_end(g, rois, 3 - axis), start);
    if (!gml_node_string_is(node, "coordinate_transformation_mode", "half_pixel"))
        length = gml_build_binary(b, &gml_op_max, length, gml_build_scalar(b, dtype, 1));
    gml_value *size = gml_build_div(b, length, gml_build_scalar(b, dtype, (double)bin.bins));
    gml_value *place = gml_build_cast(b, gml_build_range(b, bin.bins), dtype);
    gml_value *base = gml_build_mul(b, place, as_column(b, size, 1));
    base = gml_build_add(b, as_column(b, start, 1), base);
    gml_value *offset;
    if (ratio > 0) {
        bin.count = gml_build_scalar(b, dtype, (double)ratio);
        offset = gml_build_cast(b, gml_build_range(b, ratio), dtype);
        offset = gml_build_div(b, gml_build_add_scalar(b, offset, 0.5), bin.count);
        offset = gml_build_mul(b, offset, as_column(b, size, 2));
    } else {
        offset = build_adaptive(g, base, size, &bin);
        bin.count = as_column(b, bin.count, 2);
    }
    bin.position = gml_build_add(b, gml_build_unsqueeze(b, base, &last, 1), offset);
    return bin;
}

static gml_value *build_seen(gml_build *b, const bin_samples *bin)
{
    gml_dtype dtype = bin->position->type.dtype;
    gml_value *low =
        gml_build_binary(b, &gml_op_lessorequal, gml_build_scalar(b, dtype, -1), bin->position);
    gml_value *high = gml_build_binary(b, &gml_op_lessorequal, bin->position,
                                       gml_build_size(b, dtype, bin->size));
    gml_value *inside = gml_build_binary(b, &gml_op_and, low, high);
    return bin->valid ? gml_build_binary(b, &gml_op_and, inside, bin->valid) : inside;
}

static gml_value *build_moved(gml_build *b, const bin_samples *bin)
{
    gml_dtype dtype = bin->position->type.dtype;
    gml_value *end = gml_build_add_scalar(b, gml_build_size(b, dtype, bin->size), -1);
    return gml_build_clamp(b, bin->position, gml_build_scalar(b, dtype, 0), end);
}

/* (R, 1, bins, size): how much each element counts in each bin. */
static gml_value *build_matrix(gml_build *b, const bin_samples *bin, gml_dtype dtype)
{
    gml_dtype narrow = bin->position->type.dtype;
    int64_t last = 3;
    int64_t samples = 2;
    int64_t second = 1;
    gml_value *element = gml_build_cast(b, gml_build_range(b, bin->size), narrow);
    gml_value *v = gml_build_unsqueeze(b, build_moved(b, bin), &last, 1);
    gml_value *weight = gml_build_linear_kernel(b, gml_build_sub(b, v, element));
    gml_value *seen = gml_build_unsqueeze(b, build_seen(b, bin), &last, 1);
    weight = gml_build_where(b, seen, weight, gml_build_scalar(b, narrow, 0));
    weight = gml_build_reduce(b, &gml_op_reducesum, weight, &samples, 1, false);
    weight = gml_build_cast(b, gml_build_div(b, weight, bin->count), dtype);
    return gml_build_unsqueeze(b, weight, &second, 1);
}

/* (R, bins, samples) of one axis at every sample of both, (R, all). */
static gml_value *at_both(gml_build *b, gml_value *x, int axis, const gml_dim *dims)
{
    gml_dim_pool *pool = &b->graph->module->dims;
    const int64_t row[2] = {3, 4};
    const int64_t column[2] = {1, 2};
    gml_dim flat[2] = {dims[0], 1};
    for (int d = 1; d < 5; d++)
        flat[1] = gml_dim_mul(pool, flat[1], dims[d]);
    gml_value *spread = gml_build_unsqueeze(b, x, axis ? column : row, 2);
    spread = gml_build_binary(b, &gml_op_expand, spread, gml_build_dims(b, dims, 5));
    return gml_build_reshape(b, spread, flat, 2);
}

/* The greatest of the four terms of a sample, then of the samples of a bin. */
static gml_value *build_greatest(gml_grad *g, gml_value *images, const bin_samples *bins)
{
    gml_build *b = &g->b;
    const gml_type *y = &g->node->results[0].type;
    gml_dtype dtype = images->type.dtype;
    int64_t ratio = gml_node_int(g->node, "sampling_ratio", 0);
    const gml_dim dims[5] = {y->dims[0], y->dims[2], ratio, y->dims[3], ratio};
    const gml_dim split[6] = {y->dims[0], y->dims[1], y->dims[2], ratio, y->dims[3], ratio};
    const int64_t samples[2] = {3, 5};
    int64_t last = 3;
    int64_t ones[2] = {1, 2};
    gml_taps taps[2];
    gml_value *seen = NULL;
    for (int axis = 0; axis < 2; axis++) {
        gml_value *v = at_both(b, build_moved(b, &bins[axis]), axis, dims);
        gml_value *inside = at_both(b, build_seen(b, &bins[axis]), axis, dims);
        taps[axis].count = 2;
        taps[axis].index = gml_build_neighbours(b, v, 0, 2);
        gml_value *distance =
            gml_build_sub(b, taps[axis].index, gml_build_unsqueeze(b, v, &ones[1], 1));
        taps[axis].weight = gml_build_cast(b, gml_build_linear_kernel(b, distance), dtype);
        seen = seen ? gml_build_binary(b, &gml_op_and, seen, inside) : inside;
    }
    gml_value *terms = gml_build_taps(b, images, 2, taps);
    gml_value *sample = gml_build_reduce(b, &gml_op_reducemax, terms, &last, 1, false);
    seen = gml_build_unsqueeze(b, seen, &ones[0], 1);
    sample = gml_build_where(b, seen, sample, gml_build_scalar(b, dtype, 0));
    sample = gml_build_reshape(b, sample, split, 6);
    return gml_build_reduce(b, &gml_op_reducemax, sample, samples, 2, false);
}

static gml_value *formula(gml_grad *g, gml_value *const *operands)
{
    gml_build *b = &g->b;
    gml_dtype dtype = g->node->results[0].type.dtype;
    gml_dtype wide = gml_compute_dtype(dtype);
    gml_value *rois =
        gml_build_cast(b, operands[1], gml_compute_dtype(operands[1]->type.dtype));
    bin_samples bins[2];
    for (int axis = 0; axis < 2; axis++)
        bins[axis] = build_samples(g, rois, axis);
    gml_value *parts[2] = {gml_build_cast(b, operands[0], wide), operands[2]};
    gml_value *y = gml_build_op(b, &gml_op_gather, parts, 2, NULL, 0);
    if (gml_node_string_is(g->node, "mode", "max")) {
        y = build_greatest(g, y, bins);
    } else {
        y = gml_build_matmul(b, build_matrix(b, &bins[0], wide), y);
        y = gml_build_matmul(b, y, gml_grad_swap_last(b, build_matrix(b, &bins[1], wide)));
    }
    return gml_build_cast(b, y, dtype);
}

static gml_status grad(gml_grad *g)
{
    if (gml_node_string_is(g->node, "mode", "max") &&
        gml_node_int(g->node, "sampling_ratio", 0) == 0)
        return gml_fail(g->b.diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the gradient of a maximum needs a sampling_ratio that is not 0");
    return gml_grad_by_formula(g, formula);
}

const gml_op_info gml_op_roialign = {
    .name = "RoiAlign",
    .doc = "Regions of images pooled to one size from bilinear samples.",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
