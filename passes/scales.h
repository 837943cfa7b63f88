/* passes/scales.h - scales of products' operands go behind the products.
 *
 *     product(Mul(x, c), y)  becomes  Mul(product(x, y), c)
 *
 * for one number c, and x read through views. Then a product reads x where it lies, and c is in
 * its epilogue. Beyond rounding the results are the same: x is rounded to bf16 instead of c x.
 * Powers of two need no such move, they stay where the operand is read (passes/operand.h). */
#ifndef GML_PASSES_SCALES_H
#define GML_PASSES_SCALES_H

#include "passes/pass.h"

/* Moves the scales that products alone read. */
GML_MUST_CHECK gml_status gml_scales_move(gml_graph *graph, gml_pass_cx *cx, bool *out_changed);

#endif
