/* ir/ops/conv_grad_util.h - gradients of sliding windows: what Conv, ConvTranspose and the
 * pools share. */
#ifndef GML_IR_OPS_CONV_GRAD_UTIL_H
#define GML_IR_OPS_CONV_GRAD_UTIL_H

#include "ir/grad.h"
#include "ir/ops/window_util.h"

/* The gradient of a convolution's input: `dy` spread by the transposed convolution with
 * `weight`. */
gml_value *gml_conv_grad_input(gml_grad *g, gml_value *dy, gml_value *weight,
                               const gml_window *window, int64_t group);
/* The gradient (M, C / group, kernel…) of the weight of a convolution of `x` (N, C, in…) whose
 * result has the gradient `dy` (N, M, out…). */
gml_value *gml_conv_grad_weight(gml_grad *g, gml_value *x, gml_value *dy,
                                const gml_window *window, int64_t group);
/* The sum of `dy` over all but the channels. */
gml_value *gml_conv_grad_bias(gml_grad *g, gml_value *dy);
/* Conv with the geometry of `window`; no bias. */
gml_value *gml_conv_build(gml_build *b, gml_value *x, gml_value *weight,
                          const gml_window *window, int64_t group);
/* Ones in the shape of a weight: for each channel by itself, or for one channel. */
gml_value *gml_conv_build_ones(gml_build *b, gml_dtype dtype, gml_dim channels,
                               const gml_dim *space, int rank);
/* Paddings are known when compiling. */
bool gml_window_is_known(const gml_window *window);

#endif
