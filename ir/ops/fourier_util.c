/* ir/ops/fourier_util.c - complex numbers as pairs of expressions. */
#include "ir/ops/fourier_util.h"

#define GML_TWO_PI 6.283185307179586476925286766559

gml_complex gml_complex_rotate(gml_lower *x, gml_complex z, const gml_expr *turns, gml_dim n,
                               int sign)
{
    if (gml_dim_is_const(n) && n == 1)
        return z;
    const gml_expr *whole = gml_size(x, n);
    const gml_expr *rest = gml_floormod(x, turns, whole);
    const gml_expr *turn = gml_div(x, gml_cast(x, rest, GML_F64), gml_cast(x, whole, GML_F64));
    const gml_expr *angle = gml_mul(x, turn, gml_const(x, GML_F64, sign * GML_TWO_PI));
    gml_dtype dtype = z.real->dtype;
    const gml_expr *cosine = gml_cast(x, gml_unary(x, GML_X_COS, angle), dtype);
    const gml_expr *sine = gml_cast(x, gml_unary(x, GML_X_SIN, angle), dtype);
    gml_complex turned = {gml_mul(x, z.real, cosine), gml_mul(x, z.real, sine)};
    if (z.imaginary) {
        turned.real = gml_sub(x, turned.real, gml_mul(x, z.imaginary, sine));
        turned.imaginary = gml_add(x, turned.imaginary, gml_mul(x, z.imaginary, cosine));
    }
    return turned;
}

const gml_expr *gml_complex_part(gml_lower *x, gml_complex z, const gml_expr *part)
{
    const gml_expr *imaginary = z.imaginary ? z.imaginary : gml_like(x, z.real, 0);
    return gml_select(x, gml_eq(x, part, gml_i64(x, 0)), z.real, imaginary);
}

gml_complex gml_complex_sum(gml_lower *x, const gml_axis *axis, gml_complex z)
{
    z.real = gml_reduce(x, GML_REDUCE_SUM, axis, z.real);
    if (z.imaginary)
        z.imaginary = gml_reduce(x, GML_REDUCE_SUM, axis, z.imaginary);
    return z;
}
