/* ir/ops/col2im.c - Col2Im: blocks of pixels added back into an image.
 *
 * Pixel p along an axis is in block q at offset k where p + pad = q stride + k dilation. The
 * sum runs over all k of all axes; q follows, and has to be whole and one of the blocks. */
#include "ir/elementwise.h"
#include "ir/grad.h"
#include "ir/ops/build_util.h"
#include "ir/view.h"

static const gml_attr_spec attrs[] = {
    {"dilations", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"pads", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {"strides", GML_ATTR_INTS, GML_ATTR_OPTIONAL},
    {NULL},
};

static int64_t get_int(const gml_node *node, const char *name, int i, int64_t fallback)
{
    size_t count;
    const int64_t *values = gml_node_ints(node, name, &count);
    return values ? values[i] : fallback;
}

/* The number of blocks along axis `i` of `n`. */
static gml_dim count_blocks(gml_dim_pool *pool, const gml_node *node, gml_dim image,
                            gml_dim block, int i, int n)
{
    int64_t pads = get_int(node, "pads", i, 0) + get_int(node, "pads", i + n, 0);
    gml_dim reach =
        gml_dim_mul(pool, get_int(node, "dilations", i, 1), gml_dim_sub(pool, block, 1));
    gml_dim room = gml_dim_sub(pool, gml_dim_add(pool, image, pads - 1), reach);
    return gml_dim_add(pool, gml_dim_div(pool, room, get_int(node, "strides", i, 1)), 1);
}

static gml_status check_ints(gml_infer *cx, const char *name, size_t wanted, int64_t least)
{
    size_t count;
    const int64_t *values = gml_node_ints(cx->node, name, &count);
    if (!values)
        return GML_OK;
    if (count != wanted)
        return gml_infer_fail(cx, GML_E_SHAPE, "%s has %zu entries, not %zu", name, count,
                              wanted);
    for (size_t i = 0; i < count; i++)
        if (values[i] < least || values[i] > INT32_MAX)
            return gml_infer_fail(cx, GML_E_RANGE, "%s has an entry %lld", name,
                                  (long long)values[i]);
    return GML_OK;
}

static gml_status infer(gml_infer *cx)
{
    const gml_type *data;
    const gml_dim *image;
    const gml_dim *block;
    size_t n;
    size_t n_block;
    GML_TRY(gml_infer_require(cx, 0, GML_IS_NUMBER));
    GML_TRY(gml_infer_tensor(cx, 0, &data));
    GML_TRY(gml_infer_elements(cx, 1, &image, &n));
    GML_TRY(gml_infer_elements(cx, 2, &block, &n_block));
    if (data->rank != 3 || n != n_block || n < 1 || n > GML_MAX_RANK - 2)
        return gml_infer_fail(cx, GML_E_SHAPE,
                              "data of rank %d, an image of rank %zu, blocks of %zu",
                              data->rank, n, n_block);
    GML_TRY(check_ints(cx, "dilations", n, 1));
    GML_TRY(check_ints(cx, "strides", n, 1));
    GML_TRY(check_ints(cx, "pads", 2 * n, 0));
    gml_dim dims[GML_MAX_RANK] = {data->dims[0]};
    gml_dim size = 1;
    gml_dim blocks = 1;
    for (size_t i = 0; i < n; i++) {
        dims[i + 2] = image[i];
        size = gml_dim_mul(cx->dims, size, block[i]);
        gml_dim along = count_blocks(cx->dims, cx->node, image[i], block[i], (int)i, (int)n);
        blocks = gml_dim_mul(cx->dims, blocks, along);
    }
    if (gml_infer_leaves_rest(cx, data->dims[1], size))
        return gml_infer_fail(cx, GML_E_SHAPE, "%lld rows do not fill blocks of %lld pixels",
                              (long long)data->dims[1], (long long)size);
    if (gml_infer_differ(cx, blocks, data->dims[2]))
        return gml_infer_fail(cx, GML_E_SHAPE, "the image has %lld blocks, the data %lld",
                              (long long)blocks, (long long)data->dims[2]);
    dims[1] = gml_dim_div(cx->dims, data->dims[1], size);
    return gml_infer_set(cx, 0, data->dtype, (int)n + 2, dims);
}

static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
                             const gml_expr *const *index)
{
    const gml_type *type = &node->results[result].type;
    int n = type->rank - 2;
    size_t count;
    const gml_dim *block = gml_operand_elements(x, 2, &count);
    const gml_axis *axes[GML_MAX_RANK];
    const gml_expr *offset[GML_MAX_RANK];
    const gml_expr *place[GML_MAX_RANK];
    gml_dim blocks[GML_MAX_RANK];
    const gml_expr *inside = NULL;
    for (int i = 0; i < n; i++) {
        axes[i] = gml_reduce_axis(x, block[i]);
        offset[i] = gml_axis_value(x, axes[i]);
        blocks[i] = count_blocks(x->kernel->dims, node, type->dims[i + 2], block[i], i, n);
        const gml_expr *stride = gml_i64(x, get_int(node, "strides", i, 1));
        const gml_expr *back =
            gml_mul(x, offset[i], gml_i64(x, get_int(node, "dilations", i, 1)));
        const gml_expr *padded =
            gml_add(x, index[i + 2], gml_i64(x, get_int(node, "pads", i, 0)));
        const gml_expr *rest = gml_sub(x, padded, back);
        place[i] = gml_floordiv(x, rest, stride);
        const gml_expr *whole = gml_eq(x, gml_floormod(x, rest, stride), gml_i64(x, 0));
        const gml_expr *here = gml_and(x, whole, gml_in_range(x, place[i], blocks[i]));
        inside = inside ? gml_and(x, inside, here) : here;
    }
    const gml_expr *within = gml_flatten(x, n, block, offset);
    gml_dim pixels = 1;
    for (int i = 0; i < n; i++)
        pixels = gml_dim_mul(x->kernel->dims, pixels, block[i]);
    const gml_expr *row = gml_add(x, gml_mul(x, index[1], gml_size(x, pixels)), within);
    const gml_expr *from[3] = {index[0], row, gml_flatten(x, n, blocks, place)};
    const gml_expr *pixel = gml_at_if(x, 0, from, inside, gml_const(x, type->dtype, 0.0));
    const gml_expr *sum =
        gml_reduce_over(x, GML_REDUCE_SUM, axes, (unsigned)n, gml_wide(x, pixel));
    return gml_cast(x, sum, type->dtype);
}

/* The pixels along axis `i` that blocks have at their offsets, (1…, block, 1…, blocks, 1…) as
 * positions in the padded image, times `step`. */
static gml_value *pixels_along(gml_grad *g, int i, int n, gml_dim block, gml_dim blocks,
                               gml_dim step)
{
    gml_build *b = &g->b;
    gml_dim dims[2 * GML_MAX_RANK];
    int64_t stride = get_int(g->node, "strides", i, 1);
    int64_t dilation = get_int(g->node, "dilations", i, 1);
    gml_value *sum = NULL;
    for (int side = 0; side < 2; side++) {
        int axis = side == 0 ? i : n + i;
        for (int d = 0; d < 2 * n; d++)
            dims[d] = d != axis ? 1 : side == 0 ? block : blocks;
        gml_value *range = gml_build_range(b, side == 0 ? block : blocks);
        range = gml_build_mul_scalar(b, range, (double)(side == 0 ? dilation : stride));
        range = gml_build_reshape(b, range, dims, 2 * (size_t)n);
        sum = sum ? gml_build_add(b, sum, range) : range;
    }
    return gml_build_mul(b, sum, gml_build_size(b, GML_I64, step));
}

/* The blocks of the gradient: each is a gather from the padded image. */
static gml_status grad(gml_grad *g)
{
    gml_build *b = &g->b;
    gml_dim_pool *pool = &g->node->graph->module->dims;
    gml_value *dy = g->results[0];
    const gml_type *x = &g->node->operands[0]->type;
    int n = dy->type.rank - 2;
    if (2 * n > GML_MAX_RANK)
        return gml_fail(b->diags, GML_E_UNSUPPORTED, g->node->loc,
                        "the gradient of images of rank %d", n);
    size_t count = 0;
    const gml_dim *block =
        gml_value_elements(g->node->operands[2], &g->node->graph->module->arena, &count);
    gml_dim pads[2 * GML_MAX_RANK] = {0};
    gml_value *which = NULL;
    gml_dim pixels = 1;
    gml_dim taps = 1;
    for (int i = n - 1; i >= 0; i--) {
        int64_t begin = get_int(g->node, "pads", i, 0);
        int64_t end = get_int(g->node, "pads", n + i, 0);
        gml_dim size = dy->type.dims[i + 2];
        gml_dim blocks = count_blocks(pool, g->node, size, block[i], i, n);
        gml_value *along = pixels_along(g, i, n, block[i], blocks, pixels);
        which = which ? gml_build_add(b, which, along) : along;
        pads[i + 2] = begin;
        pads[n + 2 + i + 2] = end;
        pixels = gml_dim_mul(pool, pixels, gml_dim_add(pool, size, begin + end));
        taps = gml_dim_mul(pool, taps, block[i]);
    }
    gml_dim lines[3] = {dy->type.dims[0], dy->type.dims[1], pixels};
    gml_value *flat = gml_build_reshape(b, gml_build_pad(b, dy, pads), lines, 3);
    which = gml_build_reshape(b, which, (const gml_dim[]){taps, x->dims[2]}, 2);
    gml_value *operands[2] = {flat, which};
    gml_attr axis = gml_attr_int("axis", 2);
    gml_value *blocks = gml_build_op(b, &gml_op_gather, operands, 2, &axis, 1);
    g->operands[0] = gml_grad_reshape_like(b, blocks, g->node->operands[0]);
    return b->status;
}

const gml_op_info gml_op_col2im = {
    .name = "Col2Im",
    .doc = "An image from its blocks, which are added where they overlap.",
    .min_in = 3,
    .max_in = 3,
    .min_out = 1,
    .max_out = 1,
    .traits = GML_REDUCES,
    .value_operands = 1u << 1 | 1u << 2,
    .attrs = attrs,
    .infer = infer,
    .lower = lower,
    .grad = grad,
};
