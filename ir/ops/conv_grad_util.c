/* ir/ops/conv_grad_util.c - gradients of sliding windows. */
#include "ir/ops/conv_grad_util.h"

#include "ir/ops/build_util.h"

/* Attributes of a convolution, whose arrays live as long as the module. */
typedef struct geometry {
    gml_attr attrs[6];
    size_t n_attrs;
} geometry;

static geometry describe(gml_build *b, const gml_window *w, const int64_t *stride,
                         const int64_t *dilation, int64_t group)
{
    gml_arena *arena = &b->graph->module->arena;
    size_t rank = (size_t)w->rank;
    int64_t *pads = gml_new_array(arena, int64_t, 2 * rank);
    for (size_t d = 0; d < rank; d++) {
        pads[d] = w->pad_begin[d];
        pads[rank + d] = w->pad_end[d];
    }
    int64_t *strides = gml_arena_copy(arena, stride, rank * sizeof *stride);
    int64_t *dilations = gml_arena_copy(arena, dilation, rank * sizeof *dilation);
    return (geometry){{gml_attr_ints("dilations", dilations, rank),
                       gml_attr_int("group", group), gml_attr_ints("pads", pads, 2 * rank),
                       gml_attr_ints("strides", strides, rank)},
                      4};
}

bool gml_window_is_known(const gml_window *w)
{
    for (int d = 0; d < w->rank; d++)
        if (!gml_dim_is_const(w->pad_begin[d]) || !gml_dim_is_const(w->pad_end[d]))
            return false;
    return true;
}

/* `x` with the window's padding around it. */
static gml_value *build_padded(gml_build *b, gml_value *x, const gml_window *w)
{
    gml_dim pads[2 * GML_MAX_RANK] = {0};
    for (int d = 0; d < w->rank; d++) {
        pads[d + 2] = w->pad_begin[d];
        pads[w->rank + 2 + d + 2] = w->pad_end[d];
    }
    return gml_build_pad(b, x, pads);
}

static gml_window without_padding(const gml_window *w)
{
    gml_window bare = *w;
    for (int d = 0; d < w->rank; d++)
        bare.pad_begin[d] = bare.pad_end[d] = 0;
    return bare;
}

gml_value *gml_conv_build(gml_build *b, gml_value *x, gml_value *weight, const gml_window *w,
                          int64_t group)
{
    gml_window bare = without_padding(w);
    if (!gml_window_is_known(w)) { /* only numbers go into attributes */
        x = build_padded(b, x, w);
        w = &bare;
    }
    gml_value *operands[2] = {x, weight};
    geometry g = describe(b, w, w->stride, w->dilation, group);
    return gml_build_op(b, &gml_op_conv, operands, 2, g.attrs, g.n_attrs);
}

/* Where sizes are known to the run alone: spread over all that windows reached, padding too,
 * then cut, or filled up, to the input. */
static gml_value *spread_and_cut(gml_build *b, gml_value *dy, gml_value *weight,
                                 const gml_window *w, int64_t group)
{
    gml_dim_pool *pool = &b->graph->module->dims;
    gml_window bare = without_padding(w);
    geometry g = describe(b, &bare, w->stride, w->dilation, group);
    gml_value *operands[2] = {dy, weight};
    gml_value *all = gml_build_op(b, &gml_op_convtranspose, operands, 2, g.attrs, g.n_attrs);
    gml_dim pads[2 * GML_MAX_RANK] = {0};
    for (int d = 0; d < w->rank; d++) {
        gml_dim end = gml_dim_add(pool, w->pad_begin[d], w->in[d]);
        pads[d + 2] = gml_dim_sub(pool, 0, w->pad_begin[d]);
        pads[w->rank + 2 + d + 2] = gml_dim_sub(pool, end, gml_value_dim(all, d + 2));
    }
    return gml_build_pad(b, all, pads);
}

static bool sizes_are_known(const gml_window *w)
{
    for (int d = 0; d < w->rank; d++)
        if (!gml_dim_is_const(w->in[d]) || !gml_dim_is_const(w->kernel[d]))
            return false;
    return gml_window_is_known(w);
}

gml_value *gml_conv_grad_input(gml_grad *g, gml_value *dy, gml_value *weight,
                               const gml_window *w, int64_t group)
{
    gml_build *b = &g->b;
    int64_t *more = gml_new_array(&b->graph->module->arena, int64_t, w->rank);
    if (!sizes_are_known(w))
        return spread_and_cut(b, dy, weight, w, group);
    for (int d = 0; d < w->rank; d++) {
        /* rows that no window reached: their gradient is 0 */
        int64_t reached =
            (w->out[d] - 1) * w->stride[d] + (w->kernel[d] - 1) * w->dilation[d] + 1;
        more[d] = w->in[d] + w->pad_begin[d] + w->pad_end[d] - reached;
    }
    gml_window cut = *w;
    for (int d = 0; d < w->rank; d++)
        if (more[d] < 0) { /* ceil_mode: a window that ends beyond the padding */
            cut.pad_end[d] -= more[d];
            more[d] = 0;
        }
    geometry attrs = describe(b, &cut, w->stride, w->dilation, group);
    bool exact = true;
    for (int d = 0; d < w->rank; d++)
        exact =
            exact && more[d] < (w->stride[d] > w->dilation[d] ? w->stride[d] : w->dilation[d]);
    if (exact)
        attrs.attrs[attrs.n_attrs++] = gml_attr_ints("output_padding", more, (size_t)w->rank);
    gml_value *operands[2] = {dy, weight};
    gml_value *dx =
        gml_build_op(b, &gml_op_convtranspose, operands, 2, attrs.attrs, attrs.n_attrs);
    return exact ? dx : gml_build_grown(b, dx, 2, more, (size_t)w->rank);
}

/* (N, group * C, …) as (C, group * N, …): within each group channels and batch change places.
 */
static gml_value *swap_batch(gml_grad *g, gml_value *x, int64_t group)
{
    gml_build *b = &g->b;
    gml_dim_pool *pool = &b->graph->module->dims;
    size_t space = (size_t)x->type.rank - 2;
    gml_dim n = x->type.dims[0];
    gml_dim c = gml_dim_div(pool, x->type.dims[1], group);
    gml_dim split[GML_MAX_RANK] = {n, group, c};
    gml_dim joined[GML_MAX_RANK] = {c, gml_dim_mul(pool, n, group)};
    int64_t perm[GML_MAX_RANK] = {2, 1, 0};
    for (size_t d = 0; d < space; d++) {
        perm[3 + d] = (int64_t)(3 + d);
        split[3 + d] = joined[2 + d] = x->type.dims[2 + d];
    }
    if (group == 1) {
        for (size_t d = 0; d < space + 2; d++)
            perm[d] = d < 2 ? 1 - (int64_t)d : (int64_t)d;
        return gml_build_transpose(b, x, perm, space + 2);
    }
    gml_value *parts = gml_build_reshape(b, x, split, space + 3);
    parts = gml_build_transpose(b, parts, perm, space + 3);
    return gml_build_reshape(b, parts, joined, space + 2);
}

/* dW[m, c, k] = sum over n, o of dy[n, m, o] x[n, c, o stride + k dilation - pad]: a
 * convolution of x with dy as the weight, where batch and channels, and stride and dilation,
 * have changed places. */
gml_value *gml_conv_grad_weight(gml_grad *g, gml_value *x, gml_value *dy, const gml_window *w,
                                int64_t group)
{
    gml_build *b = &g->b;
    gml_window bare = without_padding(w);
    if (!gml_window_is_known(w)) {
        x = build_padded(b, x, w);
        w = &bare;
    }
    gml_value *operands[2] = {swap_batch(g, x, group), swap_batch(g, dy, 1)};
    geometry attrs = describe(b, w, w->dilation, w->stride, group);
    gml_value *dw = gml_build_op(b, &gml_op_conv, operands, 2, attrs.attrs, attrs.n_attrs);
    for (int d = 0; d < w->rank; d++) /* taps beyond the last that the weight has */
        if (dw->type.dims[d + 2] != w->kernel[d])
            dw = gml_build_part(b, dw, d + 2, 0, w->kernel[d]);
    return swap_batch(g, dw, 1);
}

gml_value *gml_conv_grad_bias(gml_grad *g, gml_value *dy)
{
    int64_t axes[GML_MAX_RANK] = {0};
    size_t n = 1;
    for (int d = 2; d < dy->type.rank; d++)
        axes[n++] = d;
    return gml_build_reduce(&g->b, &gml_op_reducesum, dy, axes, n, false);
}

gml_value *gml_conv_build_ones(gml_build *b, gml_dtype dtype, gml_dim channels,
                               const gml_dim *space, int rank)
{
    gml_dim dims[GML_MAX_RANK] = {channels, 1};
    for (int d = 0; d < rank; d++)
        dims[d + 2] = space[d];
    gml_value *operands[2] = {gml_build_scalar(b, dtype, 1),
                              gml_build_dims(b, dims, (size_t)rank + 2)};
    return gml_build_op(b, &gml_op_expand, operands, 2, NULL, 0);
}
