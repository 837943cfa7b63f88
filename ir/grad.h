/* ir/grad.h - gradients of one node: what an operator's `grad` is given, and what helps to
 * write it.
 *
 * Reverse mode: from the gradients of a node's results, those of its operands. They are nodes
 * like any others, so they are simplified, fused and differentiated again like any others.
 *
 *     static gml_status grad(gml_grad *g)
 *     {
 *         gml_value *dy = g->results[0];
 *         g->operands[0] = gml_build_transpose(&g->b, dy, inverse, rank);
 *         return GML_OK;
 *     }
 *
 * Elementwise operators need none: `scalar` is differentiated symbolically (ir/grad_scalar.c).
 * Composites need one only where their expansion would cost more or lose digits.
 *
 * The gradient of a sequence is a sequence of its items' gradients, that of an optional the
 * element's.
 *
 * At a kink (Relu at 0, Max of equals) the gradient is that of one of the two sides: of the
 * second operand of Max and Min, the one that Relu has for negative numbers. Discrete results
 * (comparisons, roundings, indices) have gradient zero.
 */
#ifndef GML_IR_GRAD_H
#define GML_IR_GRAD_H

#include "ir/op.h"

typedef struct gml_reverse gml_reverse;

struct gml_grad {
    gml_build b; /* new nodes go after the node and everything that it uses */
    gml_node *node;
    gml_arena *scratch;
    gml_value *const *results; /* by result: its gradient, of its type; NULL is zero */
    const bool *wanted;        /* by operand: somebody asks for its gradient */
    gml_value **operands; /* to be filled; NULL is zero. May be of the shape that the operand
                             broadcasts to: the caller sums it up */
    const gml_reverse *reverse; /* that the node is walked in (ir/grad_graph.h) */
    gml_value *const *captured; /* values from around a node's regions, set by its `grad` … */
    gml_value *const *captured_gradients; /* … and their gradients */
    uint32_t n_captured;
};

/* The gradient of an elementwise node. Fails when its formula has an operator without
 * derivative. */
gml_status gml_grad_scalar(gml_grad *g);

/* Serves as `grad` of whatever hands operand 0 on. */
gml_status gml_grad_same(gml_grad *g);
/* Serves as `grad` of whatever reshapes operand 0. */
gml_status gml_grad_view(gml_grad *g);

/* The gradient of a node by a formula that computes its result 0 from `operands` in nodes that
 * have gradients, built through g->b: for what nobody wants to have in these nodes otherwise.
 */
typedef gml_value *(*gml_grad_formula)(gml_grad *g, gml_value *const *operands);
gml_status gml_grad_by_formula(gml_grad *g, gml_grad_formula formula);

/* Serves as `grad` of what depends on its operands by steps, or by their shapes alone. */
gml_status gml_grad_none(gml_grad *g);

/* Serves as `grad` of what runs a region again and again (ir/grad_loop.c). */
gml_status gml_grad_loop(gml_grad *g);
/* Serves as `grad` of what runs one region of two. */
gml_status gml_grad_branches(gml_grad *g);

/* The node has a gradient, of its own or as elementwise. */
bool gml_op_has_grad(const gml_op_info *op);

/* `gradient`, of a shape that `type` broadcasts to, summed up to `type`. */
gml_value *gml_grad_sum_to(gml_build *b, gml_value *gradient, const gml_type *type);
/* The sum of two gradients of one value. */
gml_value *gml_grad_add(gml_build *b, gml_value *x, gml_value *y);
/* `x` with the last two dimensions swapped. */
gml_value *gml_grad_swap_last(gml_build *b, gml_value *x);
/* `x` reshaped to `like`'s shape. */
gml_value *gml_grad_reshape_like(gml_build *b, gml_value *x, const gml_value *like);
/* `x` broadcast to `like`'s shape. */
gml_value *gml_grad_expand_like(gml_build *b, gml_value *x, const gml_value *like);
/* Zeros of `like`'s type, which may be a sequence. */
gml_value *gml_grad_zeros_like(gml_build *b, const gml_value *like);
/* The sum of two gradients of one value. */
gml_value *gml_grad_add(gml_build *b, gml_value *x, gml_value *y);
/* A SequenceMap over `n` sequences whose body `map` builds; tensors are passed whole. */
typedef gml_value *(*gml_grad_map)(gml_build *b, gml_value *const *items);
gml_value *gml_grad_over_sequences(gml_build *b, gml_value *const *sequences, uint32_t n,
                                   gml_grad_map map);
/* The type can have a gradient: floats, or sequences or optionals of such. */
bool gml_grad_is_possible(const gml_type *type);

#endif
