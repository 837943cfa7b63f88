/* ir/lower.h - from nodes to loop IR by pulling: "the element of this value at this index".
 *
 * An operator's `lower` returns the expression of one element of a result, at an index made of
 * i64 expressions. It gets elements of its operands with gml_at, which either loads from a
 * memory or, inside a fused group, pulls the producer's expression: so views cost nothing and
 * fusion is substitution. `infer` has refused whatever cannot be lowered, so lowering never
 * fails.
 *
 *     static const gml_expr *lower(gml_lower *x, const gml_node *node, unsigned result,
 *                                  const gml_expr *const *index)
 *     {
 *         const gml_axis *k = gml_reduce_axis(x, inner);
 *         const gml_expr *ik[2] = {index[0], gml_axis_value(x, k)};
 *         const gml_expr *kj[2] = {gml_axis_value(x, k), index[1]};
 *         return gml_reduce(x, GML_REDUCE_SUM, k, gml_mul(x, gml_at(x, 0, ik), gml_at(x, 1,
 * kj)));
 *     }
 *
 * Rules: an index handed to gml_at must be in range whenever the pull happens unguarded; where
 * it may be outside, use gml_at_if, which guards every load below it with the predicate.
 */
#ifndef GML_IR_LOWER_H
#define GML_IR_LOWER_H

#include "ir/graph.h"
#include "ir/loop.h"

typedef struct gml_lower {
    gml_kernel *kernel;
    const gml_node *node;  /* the node being lowered */
    const gml_expr *guard; /* bool, or NULL: conjunction of the predicates around the pull */
    const struct gml_pull *pull; /* how operands are found: see gml_pull */
} gml_lower;

/* Where elements of values come from. Given by whoever builds the kernel. */
typedef struct gml_pull {
    /* The memory that holds `value`, or NULL: then its defining node is lowered in place. A
     * memory of fewer dimensions holds those of `value` from some on. */
    const gml_mem *(*find_mem)(const struct gml_pull *pull, gml_kernel *kernel,
                               const gml_value *value);
    void *context;
} gml_pull;

/* The element of `value` at `index` (one i64 expression per dimension). */
const gml_expr *gml_pull_value(gml_kernel *kernel, const gml_pull *pull, const gml_value *value,
                               const gml_expr *const *index);

/* A kernel for one node by itself, every result and every operand that is read a memory (inputs
 * in the order of first use, outputs in result order). `out_inputs[i]` is the operand number of
 * input i (room for node->n_operands). The node must have `scalar` or `lower`. */
gml_kernel *gml_lower_node(gml_arena *arena, gml_dim_pool *dims, const gml_node *node,
                           unsigned *out_inputs);

/* ---- operands --------------------------------------------------------------------------- */

/* The element of any value that is visible at the node: of a region being lowered in place. */
const gml_expr *gml_at_value(gml_lower *x, const gml_value *value,
                             const gml_expr *const *index);
const gml_expr *gml_at(gml_lower *x, unsigned operand, const gml_expr *const *index);
/* The element where `pred` holds, else `other` (of the operand's type). */
const gml_expr *gml_at_if(gml_lower *x, unsigned operand, const gml_expr *const *index,
                          const gml_expr *pred, const gml_expr *other);
/* The element that broadcasting to `rank` dimensions puts at `index` (`rank` entries). */
const gml_expr *gml_at_broadcast(gml_lower *x, unsigned operand, const gml_expr *const *index,
                                 int rank);
/* The element of a scalar or one-element operand. */
const gml_expr *gml_at_scalar(gml_lower *x, unsigned operand);
gml_dim gml_operand_dim(const gml_lower *x, unsigned operand, int axis);
int gml_operand_rank(const gml_lower *x, unsigned operand);
gml_dtype gml_operand_dtype(const gml_lower *x, unsigned operand);
gml_dtype gml_result_dtype(const gml_lower *x, unsigned result);
/* Known elements of an integer operand (shape, axes, …), as gml_infer_elements saw them. */
const gml_dim *gml_operand_elements(const gml_lower *x, unsigned operand, size_t *out_count);
/* Known elements of a float operand as doubles; NULL when not known. */
const double *gml_operand_floats(const gml_lower *x, unsigned operand, size_t *out_count);

/* ---- expressions: short names, since they read like formulas ----------------------------- */

const gml_expr *gml_i64(gml_lower *x, int64_t value);
const gml_expr *gml_size(gml_lower *x, gml_dim dim);
/* A constant of any dtype with the value of `like`'s dtype. */
const gml_expr *gml_const(gml_lower *x, gml_dtype dtype, double value);
const gml_expr *gml_like(gml_lower *x, const gml_expr *like, double value);
/* The lowest and highest value of a type: -inf and inf for floats. */
const gml_expr *gml_lowest(gml_lower *x, gml_dtype dtype);
const gml_expr *gml_highest(gml_lower *x, gml_dtype dtype);

const gml_expr *gml_unary(gml_lower *x, gml_scalar_op op, const gml_expr *a);
const gml_expr *gml_binary(gml_lower *x, gml_scalar_op op, const gml_expr *a,
                           const gml_expr *b);
const gml_expr *gml_add(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_sub(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_mul(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_div(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_floordiv(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_floormod(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_min(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_max(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_lt(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_le(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_eq(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_and(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_or(gml_lower *x, const gml_expr *a, const gml_expr *b);
const gml_expr *gml_not(gml_lower *x, const gml_expr *a);
/* 0 <= a and a < size; either half is left out when `a` is known to meet it. */
const gml_expr *gml_in_range(gml_lower *x, const gml_expr *a, gml_dim size);
const gml_expr *gml_select(gml_lower *x, const gml_expr *cond, const gml_expr *a,
                           const gml_expr *b);
const gml_expr *gml_cast(gml_lower *x, const gml_expr *a, gml_dtype dtype);
const gml_expr *gml_cast_flags(gml_lower *x, const gml_expr *a, gml_dtype dtype,
                               unsigned flags);

/* ---- reductions ------------------------------------------------------------------------- */

const gml_axis *gml_reduce_axis(gml_lower *x, gml_dim extent);
const gml_expr *gml_axis_value(gml_lower *x, const gml_axis *axis);
const gml_expr *gml_reduce(gml_lower *x, gml_reduce_op op, const gml_axis *axis,
                           const gml_expr *body);
const gml_expr *gml_reduce_over(gml_lower *x, gml_reduce_op op, const gml_axis *const *axes,
                                unsigned n_axes, const gml_expr *body);
/* The type in which values of `dtype` are summed: f32 for smaller floats, else itself. */
gml_dtype gml_accumulator(gml_dtype dtype);

/* The flat row-major position of `index` in a tensor of `dims`, and back. */
const gml_expr *gml_flatten(gml_lower *x, int rank, const gml_dim *dims,
                            const gml_expr *const *index);
void gml_unflatten(gml_lower *x, const gml_expr *flat, int rank, const gml_dim *dims,
                   const gml_expr **out_index);

#endif
