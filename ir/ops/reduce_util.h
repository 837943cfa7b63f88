/* ir/ops/reduce_util.h - what the Reduce* operators share: their axes.
 *
 * ReduceSum, ReduceMean, ReduceMax, ReduceMin and ReduceProd are primitives; the others expand
 * into them and elementwise operators. Operand 1 holds the axes, and must be known when
 * compiling. Without axes everything is reduced, or with noop_with_empty_axes nothing.
 */
#ifndef GML_IR_OPS_REDUCE_UTIL_H
#define GML_IR_OPS_REDUCE_UTIL_H

#include "ir/grad.h"

extern const gml_attr_spec gml_reduce_attrs[];
enum { GML_REDUCE_AXES = 1u << 1 }; /* value_operands of every Reduce* */

/* Each serves as `infer`. */
gml_status gml_reduce_infer(gml_infer *cx);         /* numbers */
gml_status gml_reduce_infer_ordered(gml_infer *cx); /* numbers and bool */

/* The reduction of `cx`'s node over operand 0's elements, each passed through `gml_wide` when
 * `wide`. `out_count`, when not NULL, becomes the number of elements reduced. */
const gml_expr *gml_reduce_lower(gml_lower *x, gml_reduce_op op, bool wide,
                                 const gml_expr *const *index, gml_dim *out_count);

/* `op` (a Reduce*) over `x` along the axes of the node being expanded; x itself when it has
 * none to reduce. `keepdims` overrides the node's. */
gml_value *gml_reduce_build(gml_expand *cx, gml_build *b, const gml_op_info *op, gml_value *x,
                            bool keepdims);
/* For gradients: `reduced`, of the shape of result 0, spread over operand 0's shape. */
gml_value *gml_reduce_spread(gml_grad *g, gml_value *reduced);
/* The axes of operand 0, those that are kept first; returns how many are. */
int gml_reduce_order(gml_grad *g, int64_t *out_perm);
/* How many elements of operand 0 become one of result 0, as a scalar of `dtype`. */
gml_value *gml_reduce_count(gml_grad *g, gml_dtype dtype);
/* `grad` of ReduceMax and ReduceMin: equal extremes share. */
gml_status gml_reduce_grad_extreme(gml_grad *g);
/* The node's keepdims. */
bool gml_reduce_keeps(const gml_node *node);
/* The type in which roots and logarithms of reductions are computed: f64 for integers. */
gml_dtype gml_reduce_real_dtype(gml_dtype dtype);

/* The position along `axis` of the extreme element of operand 0, NaN the most extreme; the
 * first of several, or the last. `index` has an entry for every dimension; that of `axis` is
 * ignored. */
const gml_expr *gml_reduce_position(gml_lower *x, gml_reduce_op op, int axis, bool last,
                                    const gml_expr *const *index);
/* `infer` of ArgMax and ArgMin, and their `lower`. */
gml_status gml_arg_infer(gml_infer *cx);
const gml_expr *gml_arg_lower(gml_lower *x, gml_reduce_op op, const gml_expr *const *index);
extern const gml_attr_spec gml_arg_attrs[];

#endif
