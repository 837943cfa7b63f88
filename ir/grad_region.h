/* ir/grad_region.h - what gradients of nodes with regions share.
 *
 * Such a gradient is a node with a region of its own: a copy of the node's, which computes
 * again what it computed, followed by reverse mode over the copy. */
#ifndef GML_IR_GRAD_REGION_H
#define GML_IR_GRAD_REGION_H

#include "ir/grad_graph.h"

/* A builder at the end of `graph`, the gradient's region in the making. */
gml_build gml_grad_region_build(const gml_grad *g, gml_graph *graph);
/* Removes what `graph` computes for nobody, and counts the uses of values that are left. Fails
 * when what stays draws random numbers: they would be others than those of the node. */
gml_status gml_grad_region_prune(const gml_grad *g, gml_graph *graph, uint32_t **out_uses);
bool gml_node_has_region(const gml_node *node);

#endif
