/* ir/ops/expect_util.h - what `infer` expects of shapes and types, checked in one line each.
 *
 * Every function records a diagnostic that names the operand and returns its status. Unknown
 * ranks pass: they are checked when they become known. Unknown sizes are compared when the
 * program runs (gml_infer_differ).
 */
#ifndef GML_IR_OPS_EXPECT_UTIL_H
#define GML_IR_OPS_EXPECT_UTIL_H

#include "ir/elementwise.h"

/* Operand `k`, when present, has the element type `dtype`. */
gml_status gml_expect_dtype(gml_infer *cx, unsigned k, gml_dtype dtype);
/* Operand `k`, when present, is a tensor of rank `rank`. */
gml_status gml_expect_rank(gml_infer *cx, unsigned k, int rank);
/* Dimension `axis` of operand `k` (present, of a rank above `axis`) is `size`. */
gml_status gml_expect_dim(gml_infer *cx, unsigned k, int axis, gml_dim size);
/* Operand `k`, when present, is a vector of `size` elements. */
gml_status gml_expect_vector(gml_infer *cx, unsigned k, gml_dim size);
/* The single element of integer operand `k` as a size: of a scalar or a one-element vector. */
gml_status gml_expect_size(gml_infer *cx, unsigned k, gml_dim *out_size);

/* Integer attribute `name` (0 when absent) as a count of groups or heads: from 1 to INT32_MAX,
 * so that arithmetic on it stays within sizes. */
gml_status gml_expect_count(gml_infer *cx, const char *name, int64_t *out_count);

/* True when both sizes are constants and differ. For what reads a node in `infer` and when it
 * is lowered; `infer` notes with gml_infer_differ what is not known. */
bool gml_dim_differs(gml_dim a, gml_dim b);

/* `infer`'s context in an `expand`, so that both read operands the same way. */
gml_infer gml_expand_infer(const gml_expand *cx);

#endif
