/* ir/ops/window_function_util.h - windows that are sums of cosines (HannWindow, …). */
#ifndef GML_IR_OPS_WINDOW_FUNCTION_UTIL_H
#define GML_IR_OPS_WINDOW_FUNCTION_UTIL_H

#include "ir/op.h"

extern const gml_attr_spec gml_window_function_attrs[];
gml_status gml_window_function_infer(gml_infer *cx);
/* a[0] + a[1] cos(t) + a[2] cos(2 t) with t = 2 pi n / N; N is the size, or one less when the
 * window is not periodic. Computed in f64, since integer types cut the fraction off. */
const gml_expr *gml_window_function_lower(gml_lower *x, const gml_expr *position,
                                          const double *a);

#endif
