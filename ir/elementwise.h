/* ir/elementwise.h - what the files of elementwise operators share: element type checks for
 * `infer`, and the type to compute a formula in.
 *
 * The standard lists the element types of every operator; here an operator accepts whole
 * classes, so that a new small float or integer needs no edit. Pure functions of the node.
 */
#ifndef GML_IR_ELEMENTWISE_H
#define GML_IR_ELEMENTWISE_H

#include "ir/op.h"

/* Sets of element type classes. */
#define GML_IS_FLOAT    (1u << GML_CLASS_FLOAT)
#define GML_IS_INT      ((1u << GML_CLASS_SIGNED) | (1u << GML_CLASS_UNSIGNED))
#define GML_IS_UNSIGNED (1u << GML_CLASS_UNSIGNED)
#define GML_IS_SIGNED   ((1u << GML_CLASS_SIGNED) | GML_IS_FLOAT)
#define GML_IS_BOOL     (1u << GML_CLASS_BOOL)
#define GML_IS_NUMBER   (GML_IS_INT | GML_IS_FLOAT)
#define GML_IS_STRING   (1u << GML_CLASS_STRING)

/* Fails unless operand `k` is a tensor whose element type is in the set `classes`. Passes when
 * the operand is absent. */
gml_status gml_infer_require(gml_infer *cx, unsigned k, unsigned classes);

/* Each serves as `infer`: gml_infer_same after a check of operand 0. */
gml_status gml_infer_float(gml_infer *cx);
gml_status gml_infer_signed(gml_infer *cx); /* floats and signed integers */
gml_status gml_infer_number(gml_infer *cx);
gml_status gml_infer_int(gml_infer *cx);
gml_status gml_infer_logic(gml_infer *cx); /* bool */
/* Result bool, shape of operand 0, which is a float. */
gml_status gml_infer_float_test(gml_infer *cx);

/* Each serves as `infer`: gml_infer_broadcast after a check of every operand. */
gml_status gml_infer_floats_broadcast(gml_infer *cx);
gml_status gml_infer_numbers_broadcast(gml_infer *cx);
gml_status gml_infer_ints_broadcast(gml_infer *cx);
gml_status gml_infer_logic_broadcast(gml_infer *cx);
/* gml_infer_compare for numbers. */
gml_status gml_infer_numbers_compare(gml_infer *cx);

/* `a` in the type that its formula is computed in: f32 for smaller floats, so that a formula of
 * several operators rounds once. The caller casts back. */
const gml_expr *gml_wide(gml_lower *x, const gml_expr *a);

/* True when `dtype` is a float. */
bool gml_dtype_is_float(gml_dtype dtype);
/* True when `dtype` is a signed or unsigned integer. */
bool gml_dtype_is_int(gml_dtype dtype);

/* Formulas that several activations are made of. */
const gml_expr *gml_sigmoid(gml_lower *x, const gml_expr *a);  /* 1 / (1 + exp(-a)) */
const gml_expr *gml_softplus(gml_lower *x, const gml_expr *a); /* log(1 + exp(a)) */

#endif
