/* ir/ops/roialign.c - RoiAlign: the mean, or maximum, of bilinear samples in the bins of
 * regions.
 *
 * A bin of height b has sampling_ratio rows of samples, or ceil(b) when that is 0: a number
 * that depends on the data. Then at most 2 (H + 1) + 1 rows can lie inside the image, since
 * rows are more than half an element apart when there is more than one; so the sum runs over
 * that many, from shortly before the first inside. Samples outside count as 0. */
#include "ir/elementwise.h"
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
};
