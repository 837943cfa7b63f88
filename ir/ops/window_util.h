/* ir/ops/window_util.h - sliding windows of convolutions and pools.
 *
 * Along spatial axis d, output position o and kernel tap k read the input at
 *     o * stride[d] + k * dilation[d] - pad_begin[d]
 * and where that is outside the input, padding. Sizes may be symbolic, and then so is
 * auto_pad's padding. A window is a plain value; its arrays hold `rank` entries.
 */
#ifndef GML_IR_OPS_WINDOW_UTIL_H
#define GML_IR_OPS_WINDOW_UTIL_H

#include "ir/op.h"

typedef struct gml_window {
    int rank;
    gml_dim in[GML_MAX_RANK];
    gml_dim kernel[GML_MAX_RANK];
    gml_dim out[GML_MAX_RANK];
    gml_dim pad_begin[GML_MAX_RANK];
    gml_dim pad_end[GML_MAX_RANK];
    int64_t stride[GML_MAX_RANK];
    int64_t dilation[GML_MAX_RANK];
} gml_window;

/* Reads kernel_shape, strides, dilations, pads, auto_pad and ceil_mode of `node`, whose operand
 * 0 is (N, C, spatial…). `kernel` holds the kernel's sizes where a weight gives them, else it
 * is NULL. Returns NULL, or what is wrong. */
const char *gml_window_read(gml_window *window, gml_dim_pool *pool, const gml_node *node,
                            const gml_dim *kernel);
/* The same with transposed geometry (ConvTranspose): output_padding and output_shape too; `in`
 * and `out` are those of the operator, the padding is what is cut off its output. */
const char *gml_window_read_transposed(gml_window *window, gml_dim_pool *pool,
                                       const gml_node *node, const gml_dim *kernel);

/* For `infer`: notes that the kernel of `window` has the sizes of the weight, and elements. */
void gml_window_assume(gml_infer *cx, const gml_dim *kernel, const gml_window *window);
/* For `infer`: a window or a diagnostic. Operand 0 has been checked to have rank 3 or more. */
gml_status gml_window_infer(gml_infer *cx, const gml_dim *kernel, gml_window *out_window);
/* For `lower`: infer has checked it. */
void gml_window_lower(gml_lower *x, const gml_node *node, const gml_dim *kernel,
                      gml_window *out_window);
/* `infer` of pools: result 0 is (N, C, out…) of operand 0's element type. */
gml_status gml_pool_infer(gml_infer *cx);

/* One reduction axis for each kernel dimension. */
void gml_window_axes(gml_lower *x, const gml_window *window, const gml_axis **out_axes);
/* Input positions under the taps `axes` at the output positions `out` (both `rank` entries),
 * and whether all of them are inside (NULL: always). */
const gml_expr *gml_window_positions(gml_lower *x, const gml_window *window,
                                     const gml_expr *const *out, const gml_axis *const *axes,
                                     const gml_expr **out_positions);
/* The number of taps inside the input, as i64; with `padded` those in the padding count too,
 * but not those that ceil_mode lets stand beyond it. */
const gml_expr *gml_window_count(gml_lower *x, const gml_window *window,
                                 const gml_expr *const *out, bool padded);
/* `a` and `b`, either of which may be NULL for true. */
const gml_expr *gml_both(gml_lower *x, const gml_expr *a, const gml_expr *b);

#endif
