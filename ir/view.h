/* ir/view.h - index arithmetic that several views share, for `lower`.
 *
 * All expressions are i64. Pure functions; results belong to the kernel.
 */
#ifndef GML_IR_VIEW_H
#define GML_IR_VIEW_H

#include "ir/op.h"

/* The index into a tensor of type `from` of the element that lies at `index` once it is
 * reshaped to `to`. Runs of dimensions whose products agree are mapped on their own, so that
 * [B,197,768] seen as [B,197,12,64] keeps its first two indices. `out_index` has from->rank
 * entries. */
void gml_reshape_index(gml_lower *x, const gml_type *from, const gml_type *to,
                       const gml_expr *const *index, const gml_expr **out_index);

/* An index read from a tensor, of any integer type, as an index below `size`: negative ones
 * count from the end; what is still outside is moved to the nearest end, so that no load is
 * outside. */
const gml_expr *gml_wrap_index(gml_lower *x, const gml_expr *index, gml_dim size);
/* `index`, moved into 0 to size - 1. */
const gml_expr *gml_clamp_index(gml_lower *x, const gml_expr *index, gml_dim size);

/* dims[index], as a chain of selections; the last one where index is outside. */
const gml_expr *gml_pick_dim(gml_lower *x, const gml_dim *dims, size_t count,
                             const gml_expr *index);

/* A copy of the first `rank` entries of `index`. */
void gml_copy_index(const gml_expr *const *index, int rank, const gml_expr **out_index);

/* Element `i` of a tensor as an expression of its type: any but strings and complex numbers. */
const gml_expr *gml_tensor_element(gml_lower *x, const gml_tensor *tensor, int64_t i);

/* Element `i` of an integer or float tensor that is known when compiling. */
double gml_tensor_number(const gml_tensor *tensor, int64_t i);

/* The elements of integer operand `k` as constants; fails, naming the operand, when one is not.
 * An absent operand gives *out_count = 0. */
gml_status gml_infer_ints(gml_infer *cx, unsigned k, const int64_t **out_values,
                          size_t *out_count);

/* Marks each of `axes` (negative ones count from the end) in a set of bits; fails when one is
 * outside 0 to rank - 1 or comes twice. */
gml_status gml_infer_axes(gml_infer *cx, const int64_t *axes, size_t count, int rank,
                          unsigned *out_set);

#endif
