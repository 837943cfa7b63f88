/* passes/costly.h - what repeating an elementwise node costs. Shared by the passes that do. */
#ifndef GML_PASSES_COSTLY_H
#define GML_PASSES_COSTLY_H

#include "passes/pass.h"

/* Whether an elementwise node computes more than a handful of arithmetic: asked of its own
 * formula. */
bool gml_is_costly(gml_pass_cx *cx, const gml_node *node);

#endif
