/* passes/costly.h - what repeating a node costs. Shared by the passes that do. */
#ifndef GML_PASSES_COSTLY_H
#define GML_PASSES_COSTLY_H

#include "passes/pass.h"

/* Whether an elementwise node computes more than a handful of arithmetic: asked of its own
 * formula. */
bool gml_is_costly(gml_pass_cx *cx, const gml_node *node);
/* A view of one tensor costs nothing to repeat: it is index arithmetic in the kernel that reads
 * it. */
bool gml_is_cheap_view(const gml_node *node);

#endif
