/* ir/quantize.h - what the quantised operators share.
 *
 * A scale (or zero point) belongs to a whole tensor (one element), to each slice along an axis
 * (a vector), or to blocks of `block_size` elements along an axis (the tensor's rank).
 */
#ifndef GML_IR_QUANTIZE_H
#define GML_IR_QUANTIZE_H

#include "ir/op.h"

/* Checks the shape of operand `k` against operand 0 and the attributes axis and block_size.
 * Passes when it is absent. */
gml_status gml_infer_scale(gml_infer *cx, unsigned k);
/* The element of operand `k` that belongs to element `index` of operand 0. */
const gml_expr *gml_at_scale(gml_lower *x, unsigned k, const gml_expr *const *index);

/* Infers what `op` would give for i32 tensors of the shapes of operands `a` and `b`, with this
 * node's attributes: for the integer forms of MatMul and Conv. */
gml_status gml_infer_as(gml_infer *cx, const gml_op_info *op, unsigned a, unsigned b,
                        gml_type *out_type);

/* A vector with an element for each channel, followed by `trailing` axes of size 1 so that it
 * broadcasts; one element of any shape as it is. */
gml_value *gml_build_channel_vector(gml_build *b, gml_value *vector, int trailing);
/* `x` as `dtype`, less its zero point (NULL: 0), whose shape broadcasts. */
gml_value *gml_build_centered(gml_build *b, gml_value *x, gml_value *zero, gml_dtype dtype);
/* round(x scale) + zero, limited to the type of `zero`; x and scale are f32. Floats are not
 * rounded to whole numbers. */
gml_value *gml_build_requantize(gml_build *b, gml_value *x, gml_value *scale, gml_value *zero);

#endif
