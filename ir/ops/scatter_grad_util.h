/* ir/ops/scatter_grad_util.h - gradients of ScatterElements and ScatterND. */
#ifndef GML_IR_OPS_SCATTER_GRAD_UTIL_H
#define GML_IR_OPS_SCATTER_GRAD_UTIL_H

#include "ir/grad.h"

/* The elements of `x`, of the data's shape, where the node's updates go. */
typedef gml_value *(*gml_gather)(gml_grad *g, gml_value *x);
/* The node on other data and updates, and with another reduction. */
typedef gml_value *(*gml_scatter)(gml_grad *g, gml_value *data, gml_value *updates,
                                  const char *reduction);

gml_status gml_grad_of_scatter(gml_grad *g, gml_gather gather, gml_scatter scatter);

#endif
