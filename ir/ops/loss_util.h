/* ir/ops/loss_util.h - operands of the classification losses. */
#ifndef GML_IR_OPS_LOSS_UTIL_H
#define GML_IR_OPS_LOSS_UTIL_H

#include "ir/op.h"

extern const gml_attr_spec gml_loss_attrs[]; /* ignore_index, reduction */
/* Checks scores (N, C, …), targets (N, …) and class weights (C), and sets the type of result 0:
 * a scalar, or with reduction "none" the shape of the targets. */
gml_status gml_loss_infer(gml_infer *cx);

#endif
