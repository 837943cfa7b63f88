/* passes/expand.h - one expansion, for passes that cannot wait. */
#ifndef GML_PASSES_EXPAND_H
#define GML_PASSES_EXPAND_H

#include "passes/pass.h"

/* Replaces `node`, a composite, by what it expands to (new nodes before it, inferred) and
 * removes it. */
gml_status gml_expand_node(gml_node *node, gml_pass_cx *cx);

#endif
