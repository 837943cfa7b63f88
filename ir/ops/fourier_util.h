/* ir/ops/fourier_util.h - complex numbers as pairs of expressions, and their rotation. */
#ifndef GML_IR_OPS_FOURIER_UTIL_H
#define GML_IR_OPS_FOURIER_UTIL_H

#include "ir/op.h"

typedef struct gml_complex {
    const gml_expr *real;
    const gml_expr *imaginary; /* NULL: zero */
} gml_complex;

/* z exp(sign 2 pi i turns / n). `turns` (i64) is reduced modulo n in integers and the angle
 * taken in f64, so that it is exact however long the signal is. */
gml_complex gml_complex_rotate(gml_lower *x, gml_complex z, const gml_expr *turns, gml_dim n,
                               int sign);
/* The real part where `part` (i64) is 0, the imaginary part where it is 1. */
const gml_expr *gml_complex_part(gml_lower *x, gml_complex z, const gml_expr *part);
/* The sum of both parts over `axis`. */
gml_complex gml_complex_sum(gml_lower *x, const gml_axis *axis, gml_complex z);

#endif
