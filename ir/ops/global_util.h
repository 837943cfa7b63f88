/* ir/ops/global_util.h - pools over whole channels: reductions of all spatial axes, kept as 1.
 */
#ifndef GML_IR_OPS_GLOBAL_UTIL_H
#define GML_IR_OPS_GLOBAL_UTIL_H

#include "ir/op.h"

gml_status gml_global_infer(gml_infer *cx);
/* `op` (a Reduce*) over the spatial axes of `x` (N, C, spatial…). */
gml_value *gml_global_build(gml_build *b, const gml_op_info *op, gml_value *x);

#endif
