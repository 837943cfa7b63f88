/* ir/flatten.h - kernels that do the same to any number of elements.
 *
 * One that computes each element of its results from that very element of operands, and from
 * operands of one element, does not depend on their shape:
 *
 *     kernel f(x: f32[768,3072], r: f32[]) -> (y: f32[768,3072])
 *     for i in 768
 *         for j in 3072
 *             y[i,j] = x[i,j] * r[]
 *
 * becomes, with n = 294912,
 *
 *     kernel f in parts(x: f32[(n * 8)], r: f32[]) -> (y: f32[(n * 8)])
 *     for i in (n * 8)
 *         y[i] = x[i] * r[]
 *
 * whose code serves every shape of that many elements: those of all parameters in one launch
 * (runtime/program.h, gml_part_sizes). Where eight do not divide the elements, n is their
 * number.
 */
#ifndef GML_IR_FLATTEN_H
#define GML_IR_FLATTEN_H

#include "ir/loop.h"

/* A kernel of the same inputs and outputs in `kernel`'s arena, its sizes in `dims`, and
 * `out_symbol` and `out_value`, its only symbol and what that stands for. NULL when the kernel
 * does more, or the number of its elements is not known or below 2. */
gml_kernel *gml_kernel_flatten(const gml_kernel *kernel, gml_dim_pool *dims,
                               gml_dim *out_symbol, int64_t *out_value);

#endif
